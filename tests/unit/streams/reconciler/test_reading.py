"""Bundles into events and dead letters, and what our own bug may harm."""

import json
from datetime import UTC, datetime

import pytest

from domain import correlation as rules
from domain.correlation import IgnoredStatus, Ownership, decide
from schemas.bundles import Body, decode_bundle, encode_bundle
from schemas.dead_letters import read_headers
from schemas.events import Origin, RecipientEvent
from schemas.places import Record
from schemas.webhook_statuses import StatusItem
from streams.reconciler import reading
from streams.reconciler.reading import Outputs, reconcile

OURS = Ownership(b"secret", "default", "111")
RECEIVED_AT = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = Origin(topic="t", partition=0, offset=0)


def status(wamid: str, word: str = "sent") -> dict[str, str]:
    return {"id": wamid, "status": word, "timestamp": "1767225600"}


def outputs_of(*bodies: bytes) -> Outputs:
    outputs = Outputs()
    value = encode_bundle([Body(1_767_225_605_000_000, raw) for raw in bodies])
    reconcile(Record("p.webhooks.raw", 2, 40, None, value), OURS, "p.recipient.events", outputs)
    return outputs


def test_an_event_knows_the_record_and_the_body_it_came_from() -> None:
    outputs = outputs_of(json.dumps({"statuses": []}).encode(), json.dumps({"statuses": [status("wamid.A")]}).encode())
    [(topic, key, value, _)] = outputs.published
    assert (topic, key) == ("p.recipient.events", b"wamid.A")
    assert value is not None
    origin = RecipientEvent.model_validate_json(value).origin
    assert origin == Origin(topic="p.webhooks.raw", partition=2, offset=40, index=1)


@pytest.mark.parametrize("bug_in", ["decide", "parse_body"])
def test_what_makes_our_code_raise_is_set_aside_alone(bug_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    working = getattr(reading, bug_in)

    def raising(given: object, *more: object) -> object:
        if (given.wamid if isinstance(given, StatusItem) else given) in ("wamid.BAD", bad):
            raise ZeroDivisionError
        return working(given, *more)

    bad = json.dumps({"statuses": [status("wamid.BAD")]}).encode()
    good = json.dumps({"statuses": [status("wamid.A")]}).encode()
    monkeypatch.setattr(reading, bug_in, raising)
    outputs = outputs_of(good, bad, good)
    assert outputs.events == {"sent": 2}
    [(_, _, value, headers)] = [record for record in outputs.published if record[0] == "p.webhooks.raw.dead"]
    letter = read_headers(headers)
    assert (letter.reason, letter.origin_offset, letter.origin_index) == ("bug", 40, 1)
    assert b"wamid.BAD" in decode_bundle(value)[0].raw


@pytest.mark.parametrize(("number", "counts"), [("111", True), (None, True), ("222", False)])
def test_a_status_without_our_data_counts_only_for_our_number(number: str | None, counts: bool) -> None:
    item = StatusItem("wamid.A", "sent", RECEIVED_AT, phone_number_id=number)
    decided = decide(item, RECEIVED_AT, OURS, ORIGIN)
    assert isinstance(decided, RecipientEvent) if counts else decided == IgnoredStatus("foreign_number")


def test_without_a_number_of_our_own_every_number_is() -> None:
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
