"""The spans of the sink: one for each event that it has written, or refused."""

from __future__ import annotations

from collections.abc import Mapping

from domain.traces import Step
from runtime.tracing import TRACES
from schemas.reasons import DeadLetterReason
from sinks.batch import Batch


def record_applied(batch: Batch, refused: Mapping[int, DeadLetterReason], started_ns: int) -> None:
    """Record the events of a committed batch that carry the place of a recorded span. `refused`: by position."""
    if not TRACES.is_on:
        return
    for at, (event, source) in enumerate(zip(batch.events, batch.sources, strict=True)):
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
