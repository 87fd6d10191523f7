"""Bundles become events and dead letters; a bug affects one item only."""

import json
from datetime import UTC, datetime

import pytest

from domain import correlation as rules
from domain.correlation import IgnoredStatus, Ownership, decide
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.events import Origin, RecipientEvent
from schemas.places import Place, Record
from schemas.webhook_statuses import StatusItem
from streams.reconciler import reading
from streams.reconciler.reading import Reconciled, reconcile

OURS = Ownership(b"secret", "default", "111")
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(topic="t", partition=0, offset=0)


def status(wamid: str, word: str = "sent") -> dict[str, str]:
    return {"id": wamid, "status": word, "timestamp": "1767225600"}


def read(*bodies: bytes) -> Reconciled:
    value = encode_bundle([Body(1_767_225_605_000_000, raw) for raw in bodies])
    return reconcile(Record("p.webhooks.raw", 2, 40, None, value), OURS)


def test_an_event_contains_the_place_of_its_record_and_body() -> None:
    found = read(json.dumps({"statuses": []}).encode(), json.dumps({"statuses": [status("wamid.A")]}).encode())
    [event] = found.events
    assert (event.key, found.bodies, found.outcomes["event"]) == (b"wamid.A", 2, 1)
    assert event.origin == Origin(topic="p.webhooks.raw", partition=2, offset=40, index=1)


@pytest.mark.parametrize("bug_in", ["decide", "parse_body"])
def test_an_item_that_makes_our_code_raise_is_dead_lettered_alone(bug_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    working = getattr(reading, bug_in)

    def raising(given: object, *more: object) -> object:
        if (given.wamid if isinstance(given, StatusItem) else given) in ("wamid.BAD", bad):
            raise ZeroDivisionError
        return working(given, *more)

    bad = json.dumps({"statuses": [status("wamid.BAD")]}).encode()
    good = json.dumps({"statuses": [status("wamid.A")]}).encode()
    monkeypatch.setattr(reading, bug_in, raising)
    found = read(good, bad, good)
    assert [event.kind.value for event in found.events] == ["sent"] * 2
    [dead] = found.dead
    assert (dead.reason, dead.origin, type(dead.raised)) == (
        "bug",
        Place("p.webhooks.raw", 2, 40, 1),
        ZeroDivisionError,
    )
    assert b"wamid.BAD" in decode_bundle(dead.value)[0].raw


@pytest.mark.parametrize(("number", "counts"), [("111", True), (None, True), ("222", False)])
def test_a_status_without_our_data_counts_only_for_our_number(number: str | None, counts: bool) -> None:
    item = StatusItem("wamid.A", "sent", RECEIVED_AT, phone_number_id=number)
    decided = decide(item, RECEIVED_AT, OURS, ORIGIN)
    assert isinstance(decided, RecipientEvent) if counts else decided == IgnoredStatus("foreign_number")


def test_without_configured_numbers_every_number_is_ours() -> None:
    item = StatusItem("wamid.A", "sent", RECEIVED_AT, phone_number_id="222")
    decided = decide(item, RECEIVED_AT, Ownership(b"secret", "default"), ORIGIN)
    assert isinstance(decided, RecipientEvent)


@pytest.mark.parametrize(
    ("ahead_s", "word"), [(600, "event"), (601, "timestamp_in_future"), (-RECEIVED_AT.timestamp(), "timestamp_too_old")]
)
def test_the_limits_of_time(ahead_s: float, word: str) -> None:
    occurred_at = datetime.fromtimestamp(RECEIVED_AT.timestamp() + ahead_s, UTC)
    decided = decide(StatusItem("wamid.A", "sent", occurred_at), RECEIVED_AT, OURS, ORIGIN)
    assert (decided.reason if isinstance(decided, rules.RefusedStatus | IgnoredStatus) else "event") == word
