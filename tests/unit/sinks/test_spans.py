"""Each event with the place of a recorded span has a span when its batch is committed; a refused one has an error."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from domain.traces import Step
from runtime.tracing import TRACES
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.places import Headers, Record
from schemas.reasons import DeadLetterReason
from sinks.spans import record_applied, record_usual
from tests.support.histories import START
from tests.support.spans import values

if TYPE_CHECKING:
    from tests.support.spans import Spans


def event(number: int) -> RecipientEvent:
    return RecipientEvent(
        kind=EventKind.DELIVERED,
        recipient_id=RecipientId(UUID(int=number)),
        attempt=1,
        wamid=Wamid("wamid.one"),
        occurred_at=START,
        received_at=START,
    )


def records(*headers: Headers | None) -> tuple[list[RecipientEvent], list[Record]]:
    events = [event(number) for number in range(1, len(headers) + 1)]
    sources = [
        Record("t", 0, offset, None, encode(each), headers=tuple(of_event or ()))
        for offset, (each, of_event) in enumerate(zip(events, headers, strict=True))
    ]
    return events, sources


def test_an_event_is_traced_if_the_span_that_published_it_was_recorded(spans: Spans) -> None:
    traced = TRACES.headers(event(1), Step.RECONCILE, "a"), None, TRACES.headers(event(3), Step.RECONCILE, "b")
    record_applied(*records(*traced), {2: DeadLetterReason.UNKNOWN_RECIPIENT}, 1)
    assert [values(span)["campaigns.record"] for span in spans.named("apply")] == ["t/0@0", "t/0@2"]
    applied, refused = spans.named("apply")
    assert applied.status.is_unset
    assert refused.status.description == "unknown_recipient"
    assert values(applied)["campaigns.event"] == "delivered"


def test_a_usual_event_is_traced_as_any_other(spans: Spans) -> None:
    headers = [TRACES.headers(event(number), Step.RECONCILE, str(number)) for number in range(1, 4)]
    _, sources = records(*headers, None)
    record_usual(sources, [1], 1)
    assert [values(span)["campaigns.record"] for span in spans.named("apply")] == ["t/0@0", "t/0@2"]


def test_nothing_is_recorded_while_traces_are_off(spans: Spans) -> None:
    traced = TRACES.headers(event(1), Step.RECONCILE)
    TRACES.use(None)
    record_applied(*records(traced), {}, 1)
    record_usual(records(traced)[1], [], 1)
    assert spans.all == []
