"""Reads the body of a request to the messages endpoint. An invalid body gets the error of the API. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from sys import intern

import msgspec
import orjson

from simulator.checks.refusals import GraphRefusal, Refused, invalid_parameter

NUMBER_SEPARATORS = re.compile(r"[\s()+.-]")


class Send(msgspec.Struct, frozen=True, gc=False):
    """The parts of a send that the simulator keeps. `number` is `to` without separators, unless `to` is a group."""

    to: str = ""
    number: str = ""
    user_id: str | None = None
    type: str = ""
    callback: str | None = None
    template: str | None = None
    language: str | None = None
    body_parameters: tuple[str, ...] = ()
    group: str | None = None
    media_id: str | None = None
    """The id of the medium of a media message."""


def digits_of(number: str) -> str:
    """A number without separators."""
    return number if number.isdecimal() else NUMBER_SEPARATORS.sub("", number)


def parse_body(raw: bytes) -> Mapping[str, object]:
    """The JSON object in a body. Raises Refused."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid_parameter("The request body is not valid JSON") from None
    if not isinstance(body, dict):
        raise Refused(GraphRefusal(100, "(#100) The parameter messaging_product is required."))
    return body


def read_send(body: Mapping[str, object]) -> Send:
    """The readable parts of a body. Nothing is checked."""
    to, user_id, callback = body.get("to"), body.get("recipient"), body.get("biz_opaque_callback_data")
    template = body.get("template")
    template = template if isinstance(template, dict) else {}
    language = template.get("language")
    to = to if isinstance(to, str) else ""
    is_group = body.get("recipient_type") == "group"
    return Send(
        to=to,
        number="" if is_group else digits_of(to),
        user_id=user_id if isinstance(user_id, str) else None,
        type=str(body.get("type", "text")),
        callback=callback if isinstance(callback, str) else None,
        template=_text_or_none(template.get("name")),
        language=_text_or_none(language.get("code")) if isinstance(language, dict) else None,
        body_parameters=_body_parameters(template.get("components")),
        group=to if is_group else None,
        media_id=_media_id(body),
    )


def _media_id(body: Mapping[str, object]) -> str | None:
    """The id of the medium of a media message."""
    content = body.get(str(body.get("type")))
    identity = content.get("id") if isinstance(content, dict) else None
    return str(identity) if isinstance(identity, (str, int)) else None


def _text_or_none(value: object) -> str | None:
    """The text, or None if it is empty or no text. It is interned, because many sends contain the same texts."""
    return intern(value) if isinstance(value, str) and value else None


def _body_parameters(components: object) -> tuple[str, ...]:
    """The texts of the body component, in order. The API takes the type in small and in capital letters."""
    if not isinstance(components, list):
        return ()
    for component in components:
        if isinstance(component, dict) and str(component.get("type")).lower() == "body":
            parameters = component.get("parameters")
            if isinstance(parameters, list):
                return tuple(str(one.get("text", "")) for one in parameters if isinstance(one, dict))
    return ()
