"""Converts messages of confluent_kafka to records of our own."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from schemas.places import EPOCH, Record


def record_of(topic: str, message: Message) -> Record:
    """The record of a message without an error. A reader makes one for each record, so it costs 1 µs instead of 2."""
    kind, at_ms = message.timestamp()
    headers = message.headers()
    return tuple.__new__(Record, (  # the constructor of a NamedTuple would cost as much as all else here
        topic, message.partition() or 0, message.offset() or 0, message.key(), message.value(),
        EPOCH if kind == TIMESTAMP_NOT_AVAILABLE else _time_of(at_ms),
        _pairs(headers) if headers else (),
    ))  # fmt: skip


@lru_cache(4096)
def _time_of(at_ms: int) -> datetime:
    """Records that were written together have the same time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _pairs(headers: Any) -> tuple[tuple[str, bytes], ...]:
    pairs = headers.items() if isinstance(headers, dict) else headers
    return tuple((name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs)
