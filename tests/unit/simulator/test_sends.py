"""Reading the body of a send, and the error code that a malformed one gets."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from simulator.sends import MalformedSend, Send, parse_send

TEMPLATE = {"name": "promo", "language": {"code": "en_US"}}
SEND: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "to": "+1 (650) 555-1234",
    "type": "template",
    "template": TEMPLATE,
}


def parsed(**changes: object) -> Send | MalformedSend:
    return parse_send(orjson.dumps({**SEND, **changes}))


def test_a_template_send_is_read() -> None:
    texts = [{"type": "text", "text": "Pablo"}, {"type": "text", "text": "20 %"}]
    template = {**TEMPLATE, "components": [{"type": "body", "parameters": texts}]}
    send = parsed(template=template, biz_opaque_callback_data="1.x")
    assert isinstance(send, Send)
    assert (send.to, send.number, send.callback) == ("+1 (650) 555-1234", "16505551234", "1.x")
    assert (send.template, send.language, send.body_parameters) == ("promo", "en_US", ("Pablo", "20 %"))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messaging_product": "telegram"}, 100),
        ({"to": None}, 100),
        ({"to": "not a number"}, 131009),
        ({"to": "123"}, 131009),
        ({"type": "fax"}, 100),
        ({"template": None}, 131008),
        ({"template": {"language": {"code": "en"}}}, 131008),
        ({"template": {"name": "promo"}}, 131008),
        ({"template": {**TEMPLATE, "components": [1]}}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 131009),
        ({"biz_opaque_callback_data": 7}, 131009),
        ({"type": "text", "text": {}}, 131008),
    ],
)
def test_a_malformed_send_gets_the_code_that_the_api_gives(changes: dict[str, object], code: int) -> None:
    refusal = parsed(**changes)
    assert isinstance(refusal, MalformedSend)
    assert refusal.code == code


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff"])
def test_a_body_that_is_no_json_object_is_an_invalid_parameter(raw: bytes) -> None:
    refusal = parse_send(raw)
    assert isinstance(refusal, MalformedSend)
    assert refusal.code == 100
