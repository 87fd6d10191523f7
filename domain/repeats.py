"""Whether a recipient repeats another one of the campaign that turned out to be the same human. Pure.

`is_repeated` in tables/sql/schema.sql repeats it, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

MAY_HAVE_ARRIVED = frozenset({"accepted", "unknown"})
"""Outcomes of an attempt that may have reached the human, unless it has failed later."""


@dataclass(frozen=True, slots=True)
class OtherAttempt:
    """One claimed attempt of another recipient who is the same human."""

    recipient: UUID
    claimed_at: datetime
    outcome: str | None
    """Its outcome in the ledger; None: it is being sent."""
    has_failed: bool = False


def is_repeated(recipient: UUID, claimed_at: datetime | None, others: Iterable[OtherAttempt]) -> bool:
    """Whether the human has, or may have, the message by another recipient. `claimed_at`: None before the claim.

    Of two that are being sent, the one that was claimed first is sent.
    """
    return any(
        not other.has_failed
        and (
            other.outcome in MAY_HAVE_ARRIVED
            or (
                other.outcome is None
                and (claimed_at is None or (other.claimed_at, other.recipient) < (claimed_at, recipient))
            )
        )
        for other in others
    )
