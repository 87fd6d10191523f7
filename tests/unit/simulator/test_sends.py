"""Reading the body of a request."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from simulator.checks.refusals import Refused
from simulator.sends import Send, parse_body, read_send

TEMPLATE = {"name": "promo", "language": {"code": "en_US"}}
SEND: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "to": "+1 (650) 555-1234",
    "type": "template",
    "template": TEMPLATE,
}


@pytest.mark.parametrize("kind", ["body", "BODY", "Body"])
def test_a_template_send_is_read(kind: str) -> None:
    texts = [{"type": "text", "text": "Pablo"}, {"type": "text", "text": "20 %"}]
    template = {**TEMPLATE, "components": [{"type": kind, "parameters": texts}]}
    send = read_send({**SEND, "template": template, "biz_opaque_callback_data": "1.x"})
    assert (send.to, send.number, send.callback) == ("+1 (650) 555-1234", "16505551234", "1.x")
    assert (send.template, send.language, send.body_parameters) == ("promo", "en_US", ("Pablo", "20 %"))


def test_a_group_is_no_number() -> None:
    send = read_send({**SEND, "recipient_type": "group", "to": "120363000000000001"})
    assert (send.number, send.group) == ("", "120363000000000001")


@pytest.mark.parametrize("body", [{}, {"to": 7, "recipient": 8, "template": 9}, {"template": {"components": [1, {}]}}])
def test_an_unreadable_part_is_absent(body: dict[str, object]) -> None:
    send = read_send(body)
    assert (send.to, send.user_id, send.template, send.body_parameters) == ("", None, None, ())
    assert isinstance(send, Send)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"7", b"\xff", b"null"])
def test_a_body_that_is_no_json_object_is_an_invalid_parameter(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse_body(raw)
    assert refused.value.refusal.code == 100


def test_a_body_is_read_whole() -> None:
    assert parse_body(orjson.dumps(SEND)) == SEND
