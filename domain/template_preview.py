"""What a person reads: a template filled with the parameters of one recipient. Pure.

A preview never refuses: a variable without a parameter stays as it is in the template, so that it can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.parameters import Parameters, request_components
from domain.template_fit import shown_text
from domain.templates import TEXT_FORMAT, VARIABLE, Button, Content, MessageTemplate, variables_of


@dataclass(frozen=True, slots=True)
class ShownButton:
    """A button as a person sees it, and what it does."""

    kind: str
    text: str
    target: str
    """The address with its suffix, the code that is copied, the phone number, or the payload of a quick reply."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A message, or a card of a carousel, as a person reads it."""

    header: str | None
    body: str | None
    footer: str | None
    buttons: tuple[ShownButton, ...]
    cards: tuple[Preview, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The message as lines of text."""
        return list(_lines(self))


def preview(template: MessageTemplate, parameters: Parameters | None) -> Preview:
    """The message of one recipient."""
    given = request_components(parameters)
    cards: Sequence[Mapping[str, Any]] = next((each["cards"] for each in given if each["type"] == "carousel"), ())
    by_place = dict(enumerate(card["components"] for card in cards))
    whole = _filled(template.content, given)
    shown = tuple(_filled(content, by_place.get(place, ())) for place, content in enumerate(template.cards))
    return Preview(whole.header, whole.body, whole.footer, whole.buttons, shown)


def _filled(content: Content, given: Sequence[Mapping[str, Any]]) -> Preview:
    buttons = {int(each["index"]): each.get("parameters") or () for each in given if each["type"] == "button"}
    header = content.header
    shown = None
    if header is not None:
        of_header = _parameters(given, "header")
        shown = fill(header.text, of_header) if header.format == TEXT_FORMAT else _medium(header.format, of_header)
    return Preview(
        header=shown,
        body=None if content.body is None else fill(content.body, _parameters(given, "body")),
        footer=content.footer,
        buttons=tuple(_button(each, buttons.get(index, ())) for index, each in enumerate(content.buttons)),
    )


def fill(text: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    """The text with its parameters, by their names or else in order. What has no parameter stays a variable."""
    by_name = {each["parameter_name"]: shown_text(each) for each in parameters if "parameter_name" in each}
    unnamed = [shown_text(each) for each in parameters if "parameter_name" not in each]
    by_name |= dict(zip(variables_of(text), unnamed, strict=False))
    return VARIABLE.sub(lambda match: by_name.get(match[1], match[0]), text)


def _parameters(given: Sequence[Mapping[str, Any]], kind: str) -> Sequence[Mapping[str, Any]]:
    return next((each.get("parameters") or () for each in given if each["type"] == kind), ())


def _medium(kind: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    """A header that is no text, in brackets: its kind, and what names it."""
    value = next((each.get(str(each.get("type"))) for each in parameters), None)
    if not isinstance(value, Mapping):
        return f"[{kind}]"
    names = ("filename", "name", "address", "link", "id", "latitude", "longitude", "product_retailer_id")
    named = ", ".join(str(value[name]) for name in names if value.get(name) is not None)
    return f"[{kind}: {named}]" if named else f"[{kind}]"


def _button(button: Button, parameters: Sequence[Mapping[str, Any]]) -> ShownButton:
    value = next((each.get(str(each.get("type"))) for each in parameters), None)
    if not isinstance(value, str):
        return ShownButton(button.kind, button.text, button.target)
    target = VARIABLE.sub(lambda _: value, button.target) if VARIABLE.search(button.target) else value
    return ShownButton(button.kind, button.text, target)


def _lines(shown: Preview, indent: str = "") -> Iterator[str]:
    for text in (shown.header, shown.body, shown.footer):
        if text:
            yield from (indent + line for line in text.split("\n"))
    for button in shown.buttons:
        yield f"{indent}[{button.text or button.kind}]" + (f" -> {button.target}" if button.target else "")
    for place, card in enumerate(shown.cards, 1):
        yield f"{indent}card {place}:"
        yield from _lines(card, indent + "  ")
