"""The history of a recipient is complete for any record, and each step belongs to its recipient."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID, uuid4

import pytest

from cli.trace import as_document, as_lines
from domain.facts import NOTHING, facts_of, merge
from domain.history import Effect, HistoryStep, RecipientHistory, TracedEvent, trace_history
from domain.status import Status
from operations.trace import Dossier, Trace, _traced
from schemas.events import EventKind, Failure, Origin, RecipientEvent, RetryClass
from schemas.model import RecipientId, Wamid
from schemas.places import Place, Record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EDGE = datetime.max.replace(tzinfo=UTC)
ONE, OTHER, GONE = RecipientId(UUID(int=1)), RecipientId(UUID(int=2)), RecipientId(UUID(int=3))
UNDELIVERABLE = Failure(code=131026, reason="undeliverable", retry_class=RetryClass.NEVER, backoff_s=0)
PLACE = Place("recipient.events", 0, 0)
PHONE = "15550001234"


def event(kind: EventKind, person: RecipientId | None, wamid: str | None = "wamid.a", **fields: Any) -> RecipientEvent:
    known: dict[str, Any] = {
        "occurred_at": NOW, "received_at": NOW, "phone_number_id": "1", "attempt": None if person is None else 1,
        "wamid": None if wamid is None else Wamid(wamid),
    }  # fmt: skip
    return RecipientEvent(kind=kind, recipient_id=person, **(known | fields))


def traced(*events: RecipientEvent | None) -> list[TracedEvent]:
    return [
        TracedEvent(Place("recipient.events", 0, at), NOW + timedelta(seconds=at), each)
        for at, each in enumerate(events)
    ]


def dossier(person: RecipientId, name: str, **row: Any) -> Dossier:
    known = {
        "id": person, "campaign_id": uuid4(), "name": name, "status": "active", "created_at": NOW,
        "phone_number": PHONE, "recipient_status": "sent", "attempt": 1, "next_attempt_at": None,
        "failure_reason": None, "retry_count": 0, "scheduled_send_date": None, "updated_at": NOW,
    }  # fmt: skip
    return Dossier(known | row, [], [], [], [])


def history(*events: RecipientEvent | None) -> RecipientHistory:
    return trace_history(traced(*events), {ONE: NOW, OTHER: NOW})


def test_a_time_at_the_edge_of_the_calendar_does_not_end_the_trace() -> None:
    steps = history(event(EventKind.SENT, ONE, occurred_at=EDGE, received_at=EDGE), event(EventKind.READ, ONE)).steps
    assert [(step.effect, step.reason) for step in steps] == [(Effect.CHANGED, "")] * 2
    overflowing = (
        b'{"kind":"sent","recipient_id":"%s","attempt":1,"occurred_at":"9999-12-31T23:59:59-12:00",'
        b'"received_at":"9999-12-31T23:59:59-12:00"}' % str(ONE).encode()
    )
    found = _traced(Record("recipient.events", 0, 0, str(ONE).encode(), overflowing, NOW))
    assert (found.event, found.keyed) == (None, ONE)


def test_a_parked_status_belongs_to_the_recipient_that_claimed_it() -> None:
    parked, stranger, accepted = (
        event(EventKind.DELIVERED, None), event(EventKind.SENT, None, "wamid.b"), event(EventKind.ACCEPTED, ONE),
    )  # fmt: skip
    steps = history(parked, stranger, accepted).steps
    assert [(step.effect, step.recipient) for step in steps] == [
        (Effect.PARKED, ONE), (Effect.PARKED, None), (Effect.CHANGED, ONE),
    ]  # fmt: skip


def test_each_step_states_the_status_before_and_after_and_the_facts_that_changed() -> None:
    records = traced(event(EventKind.ACCEPTED, ONE), event(EventKind.READ, ONE), event(EventKind.SENT, ONE))
    sent = ("attempt", "sent_at", "accepted_attempts", "acceptance")
    outranked = "an equal or better-ranked fact was known"
    assert trace_history(records, {ONE: NOW}).steps == [
        HistoryStep(records[0], Effect.CHANGED, ONE, Status.PENDING, Status.SENT, sent),
        HistoryStep(records[1], Effect.CHANGED, ONE, Status.SENT, Status.READ, ("delivered_at", "read_at")),
        HistoryStep(records[2], Effect.KNOWN, ONE, Status.READ, Status.READ, reason=outranked),
    ]


def test_the_merged_facts_are_those_of_all_events_of_the_recipient() -> None:
    accepted, read = event(EventKind.ACCEPTED, ONE), event(EventKind.READ, OTHER, "wamid.b")
    late = event(EventKind.DELIVERED, ONE, occurred_at=NOW + timedelta(seconds=9))
    assert history(accepted, read, late).facts == {
        ONE: merge(facts_of(accepted, 1), facts_of(late, 1)),
        OTHER: facts_of(read, 1),
    }


def test_records_are_taken_in_the_order_of_their_writing() -> None:
    records = traced(event(EventKind.ACCEPTED, ONE), event(EventKind.DELIVERED, ONE), event(EventKind.READ, ONE))
    same_time = [TracedEvent(each.place, NOW, each.event) for each in records]
    for each in (records, same_time):
        steps = trace_history(reversed(each), {ONE: NOW}).steps
        assert [step.traced for step in steps] == each
        assert [step.after for step in steps] == [Status.SENT, Status.DELIVERED, Status.READ]


def test_a_record_that_is_no_event_and_has_no_key_belongs_to_nobody() -> None:
    record = TracedEvent(PLACE, NOW, None)
    assert trace_history([record], {}).steps == [HistoryStep(record, Effect.MALFORMED, reason="malformed")]


def test_a_record_that_is_no_event_belongs_to_the_recipient_of_its_key() -> None:
    record = TracedEvent(Place("recipient.events", 0, 0), NOW, None, keyed=ONE)
    assert trace_history([record], {ONE: NOW}).steps == [
        HistoryStep(record, Effect.MALFORMED, ONE, reason="malformed"),
    ]


@pytest.mark.parametrize(
    ("refused", "recipient", "reason"),
    [
        (event(EventKind.ACCEPTED, GONE), GONE, "unknown_recipient"),
        (event(EventKind.DELIVERED, GONE), GONE, "erased"),
        (event(EventKind.SENT, ONE, occurred_at=NOW - timedelta(days=2)), ONE, "timestamp_too_old"),
        (event(EventKind.SENT, ONE, occurred_at=NOW + timedelta(hours=1)), ONE, "timestamp_in_future"),
        (event(EventKind.SENT, None, occurred_at=NOW - timedelta(days=9)), None, "timestamp_too_old"),
    ],
)
def test_a_refused_event_changes_nothing_and_has_the_reason_of_its_dead_letter(
    refused: RecipientEvent, recipient: RecipientId | None, reason: str
) -> None:
    found, (record,) = history(refused), traced(refused)
    assert found.steps == [HistoryStep(record, Effect.REFUSED, recipient, reason=reason)]
    assert found.facts == {}


def test_a_time_is_in_the_future_by_the_writing_of_its_record() -> None:
    ahead = event(EventKind.SENT, ONE, occurred_at=NOW + timedelta(minutes=15))
    written = (NOW + timedelta(minutes=4), NOW + timedelta(minutes=6))
    steps = [trace_history([TracedEvent(PLACE, at, ahead)], {ONE: NOW}).steps[0] for at in written]
    assert [step.effect for step in steps] == [Effect.REFUSED, Effect.CHANGED]


def test_an_event_is_repeated_if_an_earlier_record_states_the_same() -> None:
    again: dict[str, Any] = {
        "received_at": NOW + timedelta(hours=1),
        "origin": Origin(topic="webhooks.raw", partition=0, offset=7),
    }
    records = traced(
        event(EventKind.SENT, ONE, received_at=NOW),
        event(EventKind.SENT, ONE, **again),
        event(EventKind.SENT, ONE, "wamid.b"),
        event(EventKind.SENT, ONE, **again),
    )
    first, *others = trace_history(records, {ONE: NOW}).steps
    same = "the same as recipient.events/0@0"
    assert first.effect is Effect.CHANGED
    assert others == [
        HistoryStep(records[1], Effect.REPEATED, ONE, Status.SENT, Status.SENT, reason=same),
        HistoryStep(records[2], Effect.CHANGED, ONE, Status.SENT, Status.SENT, ("acceptance",)),
        HistoryStep(records[3], Effect.REPEATED, ONE, Status.SENT, Status.SENT, reason=same),
    ]


def test_a_repetition_that_changes_something_is_a_change() -> None:
    parked = event(EventKind.DELIVERED, None)
    steps = history(parked, event(EventKind.ACCEPTED, ONE, "wamid.b"), parked, event(EventKind.ACCEPTED, ONE)).steps
    assert [(step.effect, step.after) for step in steps] == [
        (Effect.PARKED, None),
        (Effect.CHANGED, Status.SENT),
        (Effect.PARKED, None),
        (Effect.CHANGED, Status.DELIVERED),
    ]
    claimed = history(parked, event(EventKind.READ, ONE), parked).steps
    assert claimed[2].effect is Effect.REPEATED


def test_statuses_are_parked_for_each_message_apart() -> None:
    read_b = event(EventKind.READ, None, "wamid.b", occurred_at=NOW + timedelta(seconds=1))
    delivered_a, replied_b = event(EventKind.DELIVERED, None), event(EventKind.REPLIED, None, "wamid.b")
    accepted_a, accepted_b = event(EventKind.ACCEPTED, ONE), event(EventKind.ACCEPTED, OTHER, "wamid.b")
    found = history(read_b, delivered_a, replied_b, accepted_a, accepted_b)
    linked = "it linked a message id to which statuses were parked"
    assert [(step.recipient, step.after, step.reason) for step in found.steps[3:]] == [
        (ONE, Status.DELIVERED, linked),
        (OTHER, Status.READ, linked),
    ]
    assert [step.reason for step in found.steps[:3]] == ["no event has linked its message id to a recipient yet"] * 3
    assert found.facts == {
        ONE: merge(facts_of(delivered_a, 1), facts_of(accepted_a, 1)),
        OTHER: reduce(merge, (facts_of(each, 1) for each in (read_b, replied_b, accepted_b)), NOTHING),
    }


def test_the_first_event_with_a_recipient_owns_the_message() -> None:
    steps = history(event(EventKind.ACCEPTED, ONE), event(EventKind.SENT, OTHER), event(EventKind.READ, None)).steps
    assert [(step.recipient, step.after) for step in steps] == [
        (ONE, Status.SENT), (OTHER, Status.SENT), (ONE, Status.READ),
    ]  # fmt: skip


def test_an_event_without_a_message_owns_no_message() -> None:
    unknown, later = (event(EventKind.UNKNOWN, ONE, None, occurred_at=NOW + timedelta(seconds=at)) for at in (0, 1))
    steps = history(unknown, unknown, later, event(EventKind.READ, None, "wamid.b")).steps
    assert [(step.effect, step.recipient) for step in steps] == [
        (Effect.CHANGED, ONE), (Effect.REPEATED, ONE), (Effect.KNOWN, ONE), (Effect.PARKED, None),
    ]  # fmt: skip


def test_a_parked_status_counts_for_the_attempt_that_claimed_it() -> None:
    failed = event(EventKind.FAILED, None, failure=UNDELIVERABLE)
    found = history(failed, event(EventKind.ACCEPTED, ONE, attempt=3))
    assert (found.facts[ONE].failed_attempts, found.steps[1].after) == (1 << 3, Status.FAILED)


def test_a_recipient_in_each_of_two_campaigns_has_two_histories() -> None:
    found = Trace(
        [dossier(ONE, "spring"), dossier(OTHER, "sum\x1b[2Jmer", failure_reason=f"no {PHONE}")],
        history(
            event(EventKind.SENT, ONE), event(EventKind.READ, OTHER, "wamid.b"), event(EventKind.SENT, None, "wamid.c")
        ),
    )
    lines = as_lines(found)
    second, foreign = (
        next(at for at, line in enumerate(lines) if word in line) for word in (str(OTHER), "no existing recipient")
    )
    assert [("@0" in text, "@1" in text, "@2" in text) for text in map("\n".join, (
        lines[:second], lines[second:foreign], lines[foreign:]))] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    assert all(line.isprintable() for line in lines)
    assert PHONE not in "\n".join(lines) + repr(as_document(found))
