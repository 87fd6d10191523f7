"""The identity of traces: which trace an attempt has, which spans in it, and whether it is recorded. Pure.

All ids are computed from the attempt. So a webhook that arrives a day later, a job that is published again and a replay
belong to the same trace, and nothing has to be stored for that. Every process decides alike whether an attempt is
recorded, because the decision is computed from the id of its trace.

Laws: ids are never 0; another attempt has another trace; what is recorded at a ratio is also recorded at a higher one;
a `traceparent` that was written is read back.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

HEADER = "traceparent"
"""The name of the header that carries the place (W3C Trace Context, level 1)."""
TRACE_ID_BYTES, SPAN_ID_BYTES = 16, 8
_RANDOM = 1 << 56
"""Samplers compare the lowest 56 bits of a trace id (W3C Trace Context, level 2), so those of others decide alike."""
_SAMPLED = 1
_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)


AttributeValue = str | int | bool


class Step(StrEnum):
    """The steps of a message that have spans."""

    RELEASE = "release"
    """The scheduler, or `process-daily`, released the attempt. It is the root of the trace."""
    PUBLISH = "publish"
    """A record was published, from the call of the client to the acknowledgement of Kafka."""
    CLAIM = "claim"
    """A sender claimed the attempt, or was refused."""
    SEND = "send"
    """One request to the Cloud API."""
    RECONCILE = "reconcile"
    """A webhook became an event, from its receipt by the ingress to the acknowledgement of the event by Kafka."""
    APPLY = "apply"
    """The sink wrote an event to the row."""


@dataclass(frozen=True, slots=True)
class SpanPlace:
    """One span of one trace."""

    trace_id: int
    span_id: int


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """One step that has ended."""

    step: Step
    place: SpanPlace
    parent: SpanPlace | None
    started_ns: int
    ended_ns: int
    error: str = ""
    """Why the step did not do what it was meant to do; empty if it did."""
    attributes: dict[str, AttributeValue] = field(default_factory=dict)


def trace_id_of(recipient_id: UUID, attempt: int) -> int:
    """The trace of an attempt."""
    return _hashed(b"trace", recipient_id.bytes, str(attempt).encode(), size=TRACE_ID_BYTES)


def place_of(trace_id: int, step: Step, key: str = "") -> SpanPlace:
    """The span of a step. `key` distinguishes spans of a step that an attempt may have several times."""
    trace = trace_id.to_bytes(TRACE_ID_BYTES, "big")
    return SpanPlace(trace_id, _hashed(b"span", trace, f"{step.value} {key}".encode(), size=SPAN_ID_BYTES))


def is_sampled(trace_id: int, ratio: float) -> bool:
    """Whether a trace belongs to the share `ratio`, from 0 to 1, that is recorded."""
    return trace_id % _RANDOM >= round((1 - ratio) * _RANDOM)


def traceparent(place: SpanPlace) -> bytes:
    """The header of a record that this recorded span has published."""
    return b"00-%032x-%016x-%02x" % (place.trace_id, place.span_id, _SAMPLED)


def read_traceparent(value: bytes) -> SpanPlace | None:
    """The span that a header names. None if it is not recorded, or if the header is not valid."""
    found = _TRACEPARENT.fullmatch(value)
    if found is None:
        return None
    version, trace, span, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None) or not int(flags, 16) & _SAMPLED:
        return None
    place = SpanPlace(int(trace, 16), int(span, 16))
    return place if place.trace_id and place.span_id else None


def _hashed(*parts: bytes, size: int) -> int:
    """A number of `size` bytes that is not 0."""
    return int.from_bytes(hashlib.blake2b(b"\0".join(parts), digest_size=size).digest(), "big") or 1
