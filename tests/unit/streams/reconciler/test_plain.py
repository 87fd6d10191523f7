"""Which bodies take the short way, and what it writes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest

from domain.correlation import Ownership
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode as encode_callback
from schemas.places import Record
from schemas.webhooks import ITEMS_MAX
from streams.reconciler.plain import PlainEvent, ShortWay
from streams.reconciler.reading import reconcile

OURS = Ownership(b"secret", "demo", frozenset({"106"}))
CAMPAIGN, RECIPIENT = UUID("0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e5f"), UUID("0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e60")
RECEIVED_AT = datetime(2026, 1, 1, 0, 0, 5, 1000, tzinfo=UTC)
RECEIVED_US = 1_767_225_605_001_000
RECORD = Record("p.webhooks.raw", 2, 40, None, b"")
STATUS = {
    "id": "wamid.HBgL+/=", "status": "played", "timestamp": "1767225604", "recipient_id": "16505551234",
    "biz_opaque_callback_data": encode_callback(b"secret", "demo", CAMPAIGN, RECIPIENT, 3),
    "pricing": {"billable": True, "category": "marketing", "type": "regular"},
}  # fmt: skip


def webhook(*statuses: Any) -> dict[str, Any]:
    value = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": "106"}, "statuses": list(statuses)}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}],
    }


def events(body: Any) -> list[PlainEvent] | None:
    read = ShortWay(RECORD, OURS, RECEIVED_AT).read(6, RECEIVED_US, body)
    return None if read is None else read.events


def test_a_status_with_our_callback_data_is_an_event_of_its_recipient() -> None:
    written = (
        b'{"v":1,"producer":"campaign-streams/0.1","kind":"read","campaign_id":"0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e5f",'
        b'"recipient_id":"0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e60","attempt":3,"wamid":"wamid.HBgL+/=",'
        b'"phone_number_id":"106","occurred_at":"2026-01-01T00:00:04Z","received_at":"2026-01-01T00:00:05.001000Z",'
        b'"held_for_quality":false,"pricing":{"type":"regular","category":"marketing"},'
        b'"origin":{"topic":"p.webhooks.raw","partition":2,"offset":40,"index":6}}'
    )
    assert events(webhook(STATUS)) == [PlainEvent(b"0190a3c8-6c9f-7cde-8f10-9a1b2c3d4e60", written, "read", 6)]


def test_a_status_without_callback_data_is_an_event_of_its_wamid() -> None:
    alone = {name: STATUS[name] for name in ("id", "status", "timestamp")}
    [event] = events(webhook(alone)) or []
    assert event.key == b"wamid.HBgL+/="
    assert "recipient_id" not in orjson.loads(event.value)


def test_the_events_of_a_body_are_in_its_order() -> None:
    found = events(webhook(STATUS, {**STATUS, "status": "sent"})) or []
    assert [each.kind for each in found] == ["read", "sent"]


UNUSUAL: dict[str, Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], Any]] = {
    "another object": lambda body, _value, _status: body.update(object="page"),
    "no entry": lambda body, _value, _status: body.pop("entry"),
    "no items": lambda _body, value, _status: value.update(statuses=[]),
    "another field": lambda body, _value, _status: body["entry"][0]["changes"][0].update(field="flows"),
    "a message too": lambda _body, value, _status: value.update(messages=[{}]),
    "a system error too": lambda _body, value, _status: value.update(errors=[]),
    "no number": lambda _body, value, _status: value.pop("metadata"),
    "a number as a number": lambda _body, value, _status: value["metadata"].update(phone_number_id=106),
    "another number without our data": lambda _body, value, status: (
        value["metadata"].update(phone_number_id="9"), status.pop("biz_opaque_callback_data")
    ),
    "another type": lambda _body, _value, status: status.update(type="payment"),
    "a failure": lambda _body, _value, status: status.update(status="failed"),
    "an error": lambda _body, _value, status: status.update(errors=[]),
    "a word in another case": lambda _body, _value, status: status.update(status="Read"),
    "a wamid that JSON must escape": lambda _body, _value, status: status.update(id='wamid."'),
    "a long wamid": lambda _body, _value, status: status.update(id="w" * 513),
    "a time as a number": lambda _body, _value, status: status.update(timestamp=1767225604),
    "a time in the future": lambda _body, _value, status: status.update(timestamp="1767226206"),
    "a time before WhatsApp": lambda _body, _value, status: status.update(timestamp="1230767999"),
    "a stranger's data": lambda _body, _value, status: status.update(biz_opaque_callback_data="x"),
    "data of attempt 63": lambda _body, _value, status: status.update(
        biz_opaque_callback_data=status["biz_opaque_callback_data"].replace(".3.", ".63.")
    ),
    "a strange price": lambda _body, _value, status: status.update(pricing={"category": "a b"}),
    "too many items": lambda _body, value, status: value.update(statuses=[status] * (ITEMS_MAX + 1)),
}  # fmt: skip


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_anything_unusual_takes_the_general_way(change: Callable[..., Any]) -> None:
    body = webhook(copy.deepcopy(STATUS))
    value = body["entry"][0]["changes"][0]["value"]
    change(body, value, value["statuses"][0])
    assert events(body) is None


def test_another_number_with_our_data_is_ours() -> None:
    body = webhook(STATUS)
    body["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = "9"
    assert len(events(body) or []) == 1


def test_a_plain_event_that_is_too_large_refuses_its_body() -> None:
    raw = orjson.dumps(webhook(STATUS))
    record = RECORD._replace(value=encode_bundle([Body(1, b"{}"), Body(RECEIVED_US, raw)]))
    found = reconcile(record, OURS, RECEIVED_AT, is_short_way_open=True)
    [event] = found.plain
    found.refuse_event(event)
    assert found.plain == []
    assert [(each.reason, each.origin.item) for each in found.dead][-1] == ("record_too_large", 1)


def test_a_status_that_is_not_plain_is_left_with_its_position() -> None:
    forged = {**STATUS, "biz_opaque_callback_data": "1.other.x"}
    body = webhook(STATUS, forged, STATUS)
    read = ShortWay(RECORD, OURS, RECEIVED_AT).read(6, RECEIVED_US, body)
    assert read is not None
    assert len(read.events) == 2
    [left] = read.left
    assert (read.items, left.statuses) == (3, [(1, forged)])


def test_a_body_without_a_plain_status_is_not_plain() -> None:
    forged = {**STATUS, "biz_opaque_callback_data": "1.other.x"}
    assert ShortWay(RECORD, OURS, RECEIVED_AT).read(6, RECEIVED_US, webhook(forged)) is None
