"""Reads and checks the body of a send like the Cloud API. An invalid body gets the error of the API. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from sys import intern
from typing import Any

import orjson

MESSAGE_TYPES = frozenset(
    (
        "audio",
        "contacts",
        "document",
        "image",
        "interactive",
        "location",
        "reaction",
        "sticker",
        "template",
        "text",
        "video",
    )
)
CALLBACK_CHARACTERS_MAX = 512
NUMBER_SEPARATORS = re.compile(r"[\s()+.-]")
NUMBER = re.compile(r"[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Send:
    """The parts of a send that the simulator keeps. `number` is `to` without separators."""

    to: str
    number: str
    user_id: str | None
    type: str
    callback: str | None
    template: str | None = None
    language: str | None = None
    body_parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MalformedSend:
    """An invalid body and its error. `send` has the readable parts."""

    code: int
    message: str
    details: str | None = None
    send: Send = field(default_factory=lambda: Send("", "", None, "", None))


def parse_send(raw: bytes) -> Send | MalformedSend:
    """The send in a body, or the error that the API would answer."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return MalformedSend(100, "(#100) Invalid parameter", "The request body is not valid JSON")
    if not isinstance(body, dict):
        return MalformedSend(100, "(#100) The parameter messaging_product is required.")
    send = _read_send(body)
    return _refusal_of(body, send) or send


def _read_send(body: dict[str, Any]) -> Send:
    """The readable parts of a body. Nothing is checked."""
    to, user_id, callback = body.get("to"), body.get("recipient"), body.get("biz_opaque_callback_data")
    template = body.get("template")
    template = template if isinstance(template, dict) else {}
    language = template.get("language")
    return Send(
        to=to if isinstance(to, str) else "",
        number=NUMBER_SEPARATORS.sub("", to) if isinstance(to, str) else "",
        user_id=user_id if isinstance(user_id, str) else None,
        type=str(body.get("type", "text")),
        callback=callback if isinstance(callback, str) else None,
        template=_text_or_none(template.get("name")),
        language=_text_or_none(language.get("code")) if isinstance(language, dict) else None,
        body_parameters=_body_parameters(template.get("components")),
    )


def _text_or_none(value: object) -> str | None:
    """The text, or None if it is empty or no text. It is interned, because many sends contain the same texts."""
    return intern(value) if isinstance(value, str) and value else None


def _body_parameters(components: object) -> tuple[str, ...]:
    """The texts of the body component, in order."""
    if not isinstance(components, list):
        return ()
    for component in components:
        if isinstance(component, dict) and component.get("type") == "body":
            parameters = component.get("parameters")
            if isinstance(parameters, list):
                return tuple(str(one.get("text", "")) for one in parameters if isinstance(one, dict))
    return ()


def _refusal_of(body: dict[str, Any], send: Send) -> MalformedSend | None:
    """The first error of a send, or None."""
    if body.get("messaging_product") != "whatsapp":
        return MalformedSend(100, "(#100) The parameter messaging_product is required.", send=send)
    if not send.to and send.user_id is None:
        return MalformedSend(100, "(#100) The parameter to is required.", send=send)
    if send.to and not NUMBER.fullmatch(send.number):
        return _value_invalid("Recipient is not a valid phone number", send)
    if send.type not in MESSAGE_TYPES:
        types = ", ".join(sorted(MESSAGE_TYPES)).upper()
        return MalformedSend(100, f"(#100) Param type must be one of {{{types}}} - got {send.type!r}.", send=send)
    if not isinstance(body.get(send.type), dict):
        return _missing(f"Parameter of type {send.type} is missing", send)
    callback = body.get("biz_opaque_callback_data")
    if callback is not None and (send.callback is None or len(send.callback) > CALLBACK_CHARACTERS_MAX):
        return _value_invalid(
            f"biz_opaque_callback_data must be a string of at most {CALLBACK_CHARACTERS_MAX} characters", send
        )
    if send.type == "template":
        return _template_refusal(body["template"], send)
    if send.type == "text" and not body["text"].get("body"):
        return _missing("Parameter text.body is missing", send)
    return None


def _template_refusal(template: dict[str, Any], send: Send) -> MalformedSend | None:
    """The first error of a template object, or None."""
    if send.template is None:
        return _missing("Parameter template.name is missing", send)
    if send.language is None:
        return _missing("Parameter template.language.code is missing", send)
    components = template.get("components", [])
    if not isinstance(components, list) or not all(isinstance(one, dict) and "type" in one for one in components):
        return MalformedSend(100, "(#100) Invalid parameter", "template.components must be a list of components", send)
    return None


def _missing(details: str, send: Send) -> MalformedSend:
    """Error 131008."""
    return MalformedSend(131008, "(#131008) Required parameter is missing", details, send)


def _value_invalid(details: str, send: Send) -> MalformedSend:
    """Error 131009."""
    return MalformedSend(131009, "(#131009) Parameter value is not valid", details, send)
