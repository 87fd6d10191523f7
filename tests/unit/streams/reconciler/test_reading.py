"""Bundles become events and dead letters; a bug affects one item only."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.correlation import Ownership, decide
from schemas import webhooks
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.dead_letters import ITEMS_LISTED_MAX
from schemas.events import Origin
from schemas.places import Place, Record
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import ITEMS_MAX
from streams.reconciler import reading
from streams.reconciler.reading import Reconciled, reconcile

OURS = Ownership(b"secret", "default", frozenset({"111"}))
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)


RECEIVED_US = 1_767_225_600_000_000


def body(*wamids: str) -> bytes:
    return json.dumps({"statuses": [status(wamid) for wamid in wamids]}).encode()


def status(wamid: str, word: str = "sent") -> dict[str, str]:
    return {"id": wamid, "status": word, "timestamp": "1767225600"}


def read(*bodies: bytes) -> Reconciled:
    value = encode_bundle([Body(RECEIVED_US, raw) for raw in bodies])
    return reconcile(Record("p.webhooks.raw", 2, 40, None, value), OURS, RECEIVED_AT)


def test_an_event_contains_the_place_of_its_record_and_body() -> None:
    found = read(json.dumps({"statuses": []}).encode(), json.dumps({"statuses": [status("wamid.A")]}).encode())
    [event] = found.events
    assert (event.key, found.bodies, found.outcomes["event"]) == (b"wamid.A", 2, 1)
    assert event.origin == Origin(topic="p.webhooks.raw", partition=2, offset=40, index=1)


def test_a_status_word_that_is_not_known_is_counted_by_its_word() -> None:
    found = read(json.dumps({"statuses": [status("a"), status("b", "held"), status("c", "held")]}).encode())
    assert (len(found.events), found.outcomes["unknown_status"], found.unknown_words) == (1, 2, {"held": 2})


def test_an_item_that_makes_our_code_raise_harms_no_other_item(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(item: StatusItem, *more: Any) -> object:
        if item.wamid == "wamid.BAD":
            raise ZeroDivisionError
        return decide(item, *more)

    monkeypatch.setattr(reading, "decide", raising)
    found = read(body("wamid.A"), body("wamid.B", "wamid.BAD"))
    assert [event.wamid for event in found.events] == ["wamid.A", "wamid.B"]
    [dead] = found.dead
    assert (dead.reason, dead.origin, dead.items, type(dead.raised)) == (
        "bug", Place("p.webhooks.raw", 2, 40, 1), (1,), ZeroDivisionError,
    )  # fmt: skip
    assert dead.value is not None
    assert [stored.raw for stored in decode_bundle(dead.value)] == [body("wamid.B", "wamid.BAD")]


@pytest.mark.parametrize("part", ["read_status", "items_of"])
def test_a_body_that_makes_our_code_raise_harms_no_other_body(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = webhooks if part == "read_status" else reading
    working = getattr(module, part)

    def raising(given: Any, *more: Any) -> object:
        if "wamid.BAD" in str(given):
            raise ZeroDivisionError
        return working(given, *more)

    monkeypatch.setattr(module, part, raising)
    found = read(body("wamid.A"), body("wamid.BAD"), body("wamid.B"))
    assert [event.wamid for event in found.events] == ["wamid.A", "wamid.B"]
    assert [(dead.reason, dead.origin.item, type(dead.raised)) for dead in found.dead] == [
        ("bug", 1, ZeroDivisionError)
    ]


def test_many_bad_items_of_a_body_are_one_small_letter() -> None:
    raw = b'{"statuses": [' + b",".join([b"1"] * 1001) + b"]}"
    [dead] = read(raw).dead
    assert dead.value == encode_bundle([Body(RECEIVED_US, raw)])
    assert len(dead.items) == ITEMS_LISTED_MAX
    assert dead.error == "1001 of 1001 items: 1001 malformed_status"


def test_a_body_with_too_many_items_is_refused_whole() -> None:
    [dead] = read(b'{"statuses": [' + b",".join([b"1"] * (ITEMS_MAX + 1)) + b"]}").dead
    assert (dead.reason, dead.items, dead.share) == ("too_many_items", (), 1.0)


@pytest.mark.parametrize(("raw", "reason"), [(b"[" * 100_000, "too_deep"), (b"", "not_json"), (b"\xff", "not_json")])
def test_bytes_that_no_reading_accepts_are_kept_as_they_came(raw: bytes, reason: str) -> None:
    [dead] = read(raw).dead
    assert (dead.reason, dead.value) == (reason, encode_bundle([Body(RECEIVED_US, raw)]))


def test_a_letter_knows_how_often_its_record_was_redriven() -> None:
    value = encode_bundle([Body(RECEIVED_US, b"x")])
    record = Record("p.webhooks.raw", 2, 40, None, value, headers=(("redriven", b"2"),))
    [dead] = reconcile(record, OURS, RECEIVED_AT).dead
    assert dead.redriven == 2


def test_a_status_is_in_the_future_only_by_the_latest_of_receipt_record_and_present() -> None:
    """The clock of the ingress was behind. A redrive, or the time that the record was written, heals it."""
    ahead = RECEIVED_AT + timedelta(seconds=620)
    raw = json.dumps({"statuses": [{**status("wamid.A"), "timestamp": str(int(ahead.timestamp()))}]}).encode()
    value = encode_bundle([Body(RECEIVED_US, raw)])
    later = RECEIVED_AT + timedelta(seconds=30)

    def reasons(at: datetime, now: datetime) -> list[str]:
        found = reconcile(Record("p.webhooks.raw", 2, 40, None, value, at), OURS, now)
        return [dead.reason for dead in found.dead]

    assert reasons(RECEIVED_AT, RECEIVED_AT) == ["timestamp_in_future"]
    assert reasons(RECEIVED_AT, later) == []
    assert reasons(later, RECEIVED_AT) == []


def test_a_notice_becomes_a_report_and_a_harmless_one_is_counted() -> None:
    def change(event: str) -> dict[str, object]:
        value = {"event": event, "message_template_name": "offer", "message_template_language": "en_US"}
        return {"field": "message_template_status_update", "value": value}

    raw = {"object": "whatsapp_business_account", "entry": [
        {"time": 1767225500, "changes": [change("PAUSED"), change("APPROVED"), {"field": "account_update", "value": 3}]}
    ]}  # fmt: skip
    found = read(json.dumps(raw).encode())
    (report,) = found.notices
    assert (report.kind, report.scope, report.key) == ("reported", "template", "offer/en_US")
    assert report.occurred_at == RECEIVED_AT - timedelta(seconds=99, microseconds=1)
    assert found.published == [report]
    assert found.outcomes == {"event": 1, "other_field": 1, "dead_letter": 1}
