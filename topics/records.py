"""Converts messages of confluent_kafka to records of our own."""

from __future__ import annotations

from datetime import UTC, datetime

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from schemas.places import EPOCH, Record


def record_of(topic: str, message: Message) -> Record:
    """The record of a message without an error."""
    kind, at_ms = message.timestamp()
    headers = message.headers() or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Record(
        topic, message.partition() or 0, message.offset() or 0, message.key(), message.value(),
        EPOCH if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(at_ms / 1000, UTC),
        tuple((name, value.encode() if isinstance(value, str) else value or b"") for name, value in pairs),
    )  # fmt: skip
