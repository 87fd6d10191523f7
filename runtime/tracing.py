"""Traces: one for each attempt, from the release to the last status. They are off unless `CAMPAIGNS_TRACES` is set.

A span is recorded after its step has ended. While traces are off, and for an attempt that is not sampled, no span and
no header is created. A record that has one item carries its place in the header `traceparent`. For a webhook, which
has many items, the place is computed from the attempt (`domain/traces.py`).

A collector that is away, slow or full never delays a step: spans wait in a bounded queue, and above it they are
dropped and counted.
"""

from __future__ import annotations

import time
from typing import Protocol
from uuid import UUID

from domain.traces import (
    HEADER,
    AttributeValue,
    EndedSpan,
    SpanPlace,
    Step,
    is_sampled,
    place_of,
    read_traceparent,
    trace_id_of,
    traceparent,
)
from runtime.settings import Settings
from schemas.places import Headers

now_ns = time.time_ns
"""The wall clock in nanoseconds, as spans state it."""


class Attempted(Protocol):
    """A job, an event, a claim or an outcome: it names its attempt, or is an event that has only a wamid."""

    @property
    def recipient_id(self) -> UUID | None:
        """The row of the recipient."""
        ...

    @property
    def attempt(self) -> int | None:
        """The number of the attempt."""
        ...


class SpanRecorder(Protocol):
    """Takes ended spans. It returns at once and never raises. `runtime.spans` has the one for collectors."""

    def take(self, span: EndedSpan) -> None:
        """Send the span, or drop it."""
        ...

    def close(self, timeout_s: float) -> None:
        """Send what waits, and end."""
        ...


class Traces:
    """The traces of this process."""

    def __init__(self) -> None:
        self._recorder: SpanRecorder | None = None
        self._ratio = 0.0

    def start(self, settings: Settings, process: str) -> None:
        """Record spans, if the settings name a collector."""
        if settings.traces:
            from runtime.spans import collector_of  # noqa: PLC0415 - its packages are an extra, and slow to import

            self.use(collector_of(settings, process), settings.traces_ratio)

    def use(self, recorder: SpanRecorder | None, ratio: float = 1.0) -> None:
        """Record this share of the attempts with this recorder, or nothing."""
        self._recorder, self._ratio = recorder, ratio

    def close(self, timeout_s: float = 3.0) -> None:
        """Send the spans that wait, for so long at most, and record no more."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close(timeout_s)

    @property
    def is_on(self) -> bool:
        """Whether any attempt is recorded."""
        return self._recorder is not None

    def headers(self, of: Attempted, step: Step, key: str = "") -> Headers | None:
        """The headers of a record of this attempt that `step` publishes. None if the attempt is not recorded."""
        trace_id = self._trace_id(of)
        return None if trace_id is None else ((HEADER, traceparent(place_of(trace_id, step, key))),)

    def place(self, headers: Headers) -> SpanPlace | None:
        """The recorded span that published a record with these headers. None without one, and while traces are off."""
        if self._recorder is None:
            return None
        return next((read_traceparent(value) for name, value in headers if name == HEADER), None)

    def record(
        self,
        step: Step,
        of: Attempted,
        started_ns: int,
        *,
        under: Step | SpanPlace | None,
        key: str = "",
        error: str = "",
        **attributes: AttributeValue | None,
    ) -> None:
        """Record a step that ends now. `under`: the step of the same attempt, or the place in a header, that led to it.

        A place has been recorded, so this step is recorded too. `error`: see `EndedSpan`.
        """
        recorder = self._recorder
        trace_id = under.trace_id if isinstance(under, SpanPlace) else self._trace_id(of)
        if recorder is None or trace_id is None:
            return
        parent = place_of(trace_id, under) if isinstance(under, Step) else under
        known = {"recipient_id": str(of.recipient_id) if of.recipient_id else None, "attempt": of.attempt, **attributes}
        named = {f"campaigns.{name}": value for name, value in known.items() if value is not None}
        recorder.take(EndedSpan(step, place_of(trace_id, step, key), parent, started_ns, now_ns(), error, named))

    def _trace_id(self, of: Attempted) -> int | None:
        """The trace of an attempt. None while traces are off, if the attempt is not recorded, and if it is unknown."""
        if self._recorder is None or of.recipient_id is None or of.attempt is None:
            return None
        trace_id = trace_id_of(of.recipient_id, of.attempt)
        return trace_id if is_sampled(trace_id, self._ratio) else None


TRACES = Traces()
"""The traces of this process, as `metrics.REGISTRY` are its metrics."""
