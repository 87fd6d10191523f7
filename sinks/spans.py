"""The spans of the sink: one for each event that it has written, or refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from domain.traces import Step
from runtime.tracing import TRACES
from schemas.events import RecipientEvent
from schemas.places import Record
from schemas.reasons import DeadLetterReason
from topics.decoding import decoded


def record_applied(
    events: Sequence[RecipientEvent],
    sources: Sequence[Record],
    refused: Mapping[int, DeadLetterReason],
    started_ns: int,
) -> None:
    """Record the committed events whose records carry the place of a recorded span. `refused`: by position."""
    if not TRACES.is_on:
        return
    for at, (event, source) in enumerate(zip(events, sources, strict=True)):
        published_by = TRACES.place(source.headers)
        if published_by is not None:
            record = str(source.place)
            error = refused[at].value if at in refused else ""
            TRACES.record(
                Step.APPLY,
                event,
                started_ns,
                under=published_by,
                key=record,
                error=error,
                event=event.kind.value,
                record=record,
            )


def record_usual(records: Sequence[Record], unusual: Collection[int], started_ns: int) -> None:
    """Record the usual events of a committed batch that carry a place. `unusual`: positions of the other records.

    Only these few are decoded again, because a span needs more of an event than the fast way reads.
    """
    if not TRACES.is_on:
        return
    others = frozenset(unusual)
    events, sources = [], []
    for at, record in enumerate(records):
        if at not in others and TRACES.place(record.headers) is not None:
            event = decoded(RecipientEvent, record)
            assert isinstance(event, RecipientEvent), "the fast way reads only what this one reads"
            events.append(event)
            sources.append(record)
    record_applied(events, sources, {}, started_ns)
