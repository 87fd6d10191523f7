"""The places of a template that the columns of a file fill, by the template's own names. Pure.

Each variable of the body is a slot of its name. A header and the buttons have slots too: `header`, `header_filename`,
`header_latitude`, `button_1` and so on. Values of body slots alone make positional or named parameters. With any other
slot they make the component objects of the Cloud API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.templates import TEXT_FORMAT, Button, Header, MessageTemplate, variables_of

HEADER = "header"
_LOCATION = ("latitude", "longitude", "name", "address")
_LINK = re.compile(r"https?://", re.IGNORECASE)
_PARAMETER_OF = {"quick_reply": "payload", "copy_code": "coupon_code", "url": "text"}
"""Kinds of buttons of which a cell can give the parameter. A flow or a catalogue needs an object instead."""


def slots_of(template: MessageTemplate) -> tuple[str, ...]:
    """The names of the slots: first those of the body, then those of the header and the buttons."""
    return (*template.variables, *extra_slots_of(template))


def extra_slots_of(template: MessageTemplate) -> tuple[str, ...]:
    """The names of the slots of the header and the buttons. A variable of the body takes a name first."""
    taken = template.variables
    return tuple(
        slot for slot in (*_header_slots(template.content.header), *_button_slots(template)) if slot not in taken
    )


def column_key(header: str) -> str:
    """The form in which the header of a column and a slot are compared: `First name` and `{{first_name}}` are equal."""
    return re.sub(r"[\W_]+", "_", header.strip().strip("{}").strip()).strip("_").casefold()


def parameters_of(template: MessageTemplate, values: Mapping[str, str]) -> list[str] | dict[str, Any]:
    """The template parameters of one recipient with these values of slots. An empty value of an extra slot is none."""
    body = {name: values[name] for name in template.variables if name in values}
    extra = {name: values[name] for name in extra_slots_of(template) if values.get(name)}
    if not extra:
        return dict(body) if template.is_named else list(body.values())
    components = [*_header_component(template, extra)]
    if body:
        components.append({"type": "body", "parameters": _texts(template, body)})
    components += _button_components(template, extra)
    return {"components": components}


def _header_slots(header: Header | None) -> Iterator[str]:
    if header is None:
        return
    if header.format == "location":
        yield from (f"{HEADER}_{name}" for name in _LOCATION)
    elif header.format in ("image", "video", "gif", "document") or variables_of(header.text):
        yield HEADER
        if header.format == "document":
            yield f"{HEADER}_filename"


def _button_slots(template: MessageTemplate) -> Iterator[str]:
    for place, button in enumerate(template.content.buttons, 1):
        if button.takes_parameter and button.sub_type in _PARAMETER_OF:
            yield f"button_{place}"


def _header_component(template: MessageTemplate, values: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    header = template.content.header
    given = {name.removeprefix(f"{HEADER}_"): text for name, text in values.items() if name.startswith(HEADER)}
    if header is None or not given:
        return
    if header.format == TEXT_FORMAT:
        names = variables_of(header.text)
        parameters = _texts(template, dict.fromkeys(names, given[HEADER]))
    elif header.format == "location":
        parameters = [{"type": "location", "location": given}]
    else:
        medium = given.get(HEADER, "")
        value = {"link" if _LINK.match(medium) else "id": medium}
        if "filename" in given:
            value["filename"] = given["filename"]
        parameters = [{"type": header.format, header.format: value}]
    yield {"type": "header", "parameters": parameters}


def _texts(template: MessageTemplate, values: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"type": "text", "text": text} | ({"parameter_name": name} if template.is_named else {})
        for name, text in values.items()
    ]


def _button_components(template: MessageTemplate, values: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for index, button in enumerate(template.content.buttons):
        if text := values.get(f"button_{index + 1}"):
            yield _button(index, button, text)


def _button(index: int, button: Button, text: str) -> dict[str, Any]:
    kind = _PARAMETER_OF[button.sub_type]
    parameters = [{"type": kind, kind: text}]
    return {"type": "button", "sub_type": button.sub_type, "index": str(index), "parameters": parameters}
