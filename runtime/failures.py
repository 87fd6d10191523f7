"""The three failure words, the same for Postgres and Kafka."""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """What to do about an error."""

    TRANSIENT = "transient"
    """A dependency is away or busy: retry the same with backoff."""
    INVALID = "invalid"
    """These values will never be accepted: find them and dead-letter them."""
    BUG = "bug"
    """Our code or its configuration is at fault: end loudly."""
