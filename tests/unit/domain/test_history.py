"""The history of a recipient is complete for any record, and each step belongs to its recipient."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cli.trace import as_document, as_lines
from domain.history import Effect, RecipientHistory, TracedEvent, trace_history
from operations.trace import Dossier, Trace, _traced
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.places import Place, Record

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE, OTHER = RecipientId(UUID(int=1)), RecipientId(UUID(int=2))
PHONE = "15550001234"


def event(kind: EventKind, person: RecipientId | None, wamid: str = "wamid.a", **fields: Any) -> RecipientEvent:
    known: dict[str, Any] = {"occurred_at": NOW, "received_at": NOW, "phone_number_id": "1"}
    attempt = None if person is None else 1
    return RecipientEvent(kind=kind, recipient_id=person, attempt=attempt, wamid=Wamid(wamid), **(known | fields))


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
    edge = datetime.max.replace(tzinfo=UTC)
    steps = history(event(EventKind.SENT, ONE, occurred_at=edge, received_at=edge), event(EventKind.READ, ONE)).steps
    assert [(step.effect, step.reason) for step in steps] == [(Effect.REFUSED, "bug"), (Effect.CHANGED, "")]
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
