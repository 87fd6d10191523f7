"""What the API refuses in any message, and the code of each refusal, by table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.checks.interactive import INTERACTIVE_TYPES
from simulator.checks.messages import CHECKS, check_mark_as_read, check_message, is_mark_as_read
from simulator.checks.refusals import Refused

KNOWN = ("1037543291543001",)
TEMPLATE: dict[str, Any] = {"name": "promo", "language": {"code": "en_US"}}
SEND: dict[str, Any] = {
    "messaging_product": "whatsapp",
    "to": "+1 (604) 555-1234",
    "type": "template",
    "template": TEMPLATE,
}


def code_of(body: dict[str, Any], endpoint: str = "messages") -> int | None:
    """The code of the refusal, or None if the message is accepted."""
    try:
        check_message(body, endpoint, KNOWN)
    except Refused as refused:
        return refused.refusal.code
    return None


def with_content(kind: str, content: object) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": "4915112345678", "type": kind, kind: content}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"messaging_product": None}, 100),
        ({"messaging_product": "telegram"}, 100),
        ({"to": None}, 100),
        ({"to": ""}, 100),
        ({"to": 16045551234}, 100),
        ({"to": ["16045551234"]}, 100),
        ({"to": "not a number"}, 131009),
        ({"to": "123"}, 131009),
        ({"to": "US.13491208655302741918"}, 131009),
        ({"to": None, "recipient": "16045551234"}, 131009),
        ({"to": None, "recipient": "us.123"}, 131009),
        ({"to": None, "recipient": "US.12-3"}, 131009),
        ({"to": None, "recipient": "US."}, 131009),
        ({"to": None, "recipient": "US." + "1" * 129}, 131009),
        ({"to": None, "recipient": 7}, 131009),
        ({"recipient_type": "crowd"}, 100),
        ({"type": "fax"}, 100),
        ({"type": ["text"]}, 100),
        ({"type": 7}, 100),
        ({"type": "text"}, 131008),
        ({"context": "wamid.X"}, 100),
        ({"context": {}}, 131008),
        ({"recipient_identity_key_hash": 7}, 100),
        ({"biz_opaque_callback_data": "x" * 513}, 131009),
        ({"biz_opaque_callback_data": 7}, 131009),
        ({"template": None}, 131008),
        ({"template": "promo"}, 100),
    ],
)
def test_an_invalid_message_gets_its_code(changes: dict[str, object], code: int) -> None:
    assert code_of({**SEND, **changes}) == code


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"to": None, "recipient": "US.13491208655302741918"},
        {"to": None, "recipient": "US.ENT.11815799212886844830"},
        {"recipient_type": "individual", "context": {"message_id": "wamid.X"}},
        {"biz_opaque_callback_data": "x" * 512},
        {"recipient_type": "group", "to": "Y2FwaV9ncm91cDox"},
        {"unknown_parameter": 1},
    ],
)
def test_a_valid_message_is_accepted(changes: dict[str, object]) -> None:
    assert code_of({**SEND, **changes}) is None


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("text", {}, 131008),
        ("text", {"body": ""}, 131008),
        ("text", {"body": "  "}, 131008),
        ("text", {"body": 7}, 100),
        ("text", {"body": "x" * 4097}, 100),
        ("text", {"body": "x", "preview_url": "maybe"}, 100),
        ("text", {"body": "x", "bold": True}, 100),
        ("text", "hello", 100),
        ("image", {}, 131008),
        ("image", {"caption": "no medium"}, 131008),
        ("image", {"id": "1", "link": "https://example.com/a"}, 100),
        ("image", {"id": "404"}, 100),
        ("image", {"id": None, "link": "ftp://example.com/a"}, 100),
        ("image", {"link": "example.com/a.jpg"}, 100),
        ("image", {"link": "https:// example.com"}, 100),
        ("image", {"link": 7}, 100),
        ("image", {"link": "https://example.com/a", "caption": "x" * 1025}, 100),
        ("image", {"link": "https://example.com/a", "filename": "a.jpg"}, 100),
        ("audio", {"link": "https://example.com/a", "caption": "c"}, 100),
        ("sticker", {"link": "https://example.com/a", "caption": "c"}, 100),
        ("video", [], 100),
        ("document", {}, 131008),
        ("location", {"latitude": 1}, 131008),
        ("location", {"latitude": 91, "longitude": 0}, 131009),
        ("location", {"latitude": "north", "longitude": 0}, 131009),
        ("location", {"latitude": float("nan"), "longitude": 0}, 131009),
        ("location", {"latitude": True, "longitude": 0}, 100),
        ("contacts", [], 131009),
        ("contacts", {}, 100),
        ("contacts", [{}], 100),
        ("contacts", [{"name": {}}], 131008),
        ("contacts", [{"name": {"formatted_name": "A"}, "phones": "1"}], 100),
        ("reaction", {"emoji": "x"}, 131008),
        ("reaction", {"message_id": "wamid.X"}, 131008),
        ("pin", {"type": "glue", "message_id": "wamid.X"}, 100),
        ("pin", {"type": "pin", "message_id": "wamid.X", "expiration_days": 31}, 100),
    ],
)
def test_invalid_content_gets_its_code(kind: str, content: object, code: int) -> None:
    assert code_of(with_content(kind, content)) == code


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text", {"body": "x" * 4096, "preview_url": False}),
        ("image", {"id": KNOWN[0], "caption": "c"}),
        ("image", {"id": KNOWN[0], "caption": ""}),
        ("document", {"link": "https://example.com/a", "filename": "a.pdf"}),
        ("audio", {"id": KNOWN[0], "voice": True}),
        ("location", {"latitude": "52.5", "longitude": -13.4}),
        ("contacts", [{"name": {"formatted_name": "A"}}]),
        ("reaction", {"message_id": "wamid.X", "emoji": ""}),
        ("pin", {"type": "unpin", "message_id": "wamid.X"}),
    ],
)
def test_valid_content_is_accepted(kind: str, content: object) -> None:
    assert code_of(with_content(kind, content)) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "text", "text": {"body": "x"}}, 100),
        ({"product_policy": "LENIENT"}, 100),
        ({"message_activity_sharing": "yes"}, 100),
        ({"product_policy": "STRICT", "message_activity_sharing": True}, None),
    ],
)
def test_the_marketing_endpoint_takes_templates_only(changes: dict[str, object], code: int | None) -> None:
    assert code_of({**SEND, **changes}, "marketing_messages") == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"message_id": "wamid.X"}, None),
        ({"message_id": "wamid.X", "typing_indicator": {"type": "text"}}, None),
        ({}, 131008),
        ({"message_id": 7}, 100),
        ({"message_id": "wamid.X", "status": "unread"}, 100),
        ({"message_id": "wamid.X", "typing_indicator": {"type": "voice"}}, 100),
        ({"message_id": "wamid.X", "messaging_product": "telegram"}, 100),
    ],
)
def test_marking_as_read_is_checked(body: dict[str, object], code: int | None) -> None:
    request = {"messaging_product": "whatsapp", "status": "read", **body}
    assert is_mark_as_read(request)
    found = None
    try:
        check_mark_as_read(request)
    except Refused as refused:
        found = refused.refusal.code
    assert found == code


def test_a_refusal_has_the_status_of_its_code() -> None:
    with pytest.raises(Refused) as refused:
        check_message({**SEND, "template": {**TEMPLATE, "name": "Not A Name"}}, "messages", KNOWN)
    assert (refused.value.refusal.code, refused.value.refusal.http_status) == (132001, 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "to",
    "recipient",
    "recipient_type",
    "type",
    "context",
    "biz_opaque_callback_data",
    "product_policy",
    "template",
)


@given(value=JSON, name=st.sampled_from(NAMES), endpoint=st.sampled_from(["messages", "marketing_messages"]))
def test_any_json_in_any_parameter_is_accepted_or_refused(value: object, name: str, endpoint: str) -> None:
    assert code_of({**SEND, name: value}, endpoint) in {None, 100, 131008, 131009, 132001}


@given(value=JSON, kind=st.sampled_from(sorted(CHECKS)))
def test_any_json_as_content_is_accepted_or_refused(value: object, kind: str) -> None:
    assert code_of(with_content(kind, value)) in {None, 100, 131008, 131009, 132001}


@given(value=JSON, key=st.sampled_from(["type", "body", "header", "footer", "action"]))
def test_any_json_in_an_interactive_message_is_accepted_or_refused(value: object, key: str) -> None:
    for kind in sorted(INTERACTIVE_TYPES):
        content = {
            "type": kind,
            "body": {"text": "x"},
            "header": {"type": "text", "text": "x"},
            "action": {},
            key: value,
        }
        assert code_of(with_content("interactive", content)) in {None, 100, 131008, 131009}
