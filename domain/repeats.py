"""Whether a recipient repeats another one of the campaign that turned out to be the same human. Pure.

`twin_refusal` in tables/sql/schema.sql repeats it, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MAY_HAVE_ARRIVED = frozenset({"accepted", "unknown"})
"""Outcomes of an attempt that may have reached the human, unless it has failed later."""


class TwinRefusal(StrEnum):
    """What the other recipient says against a post."""

    SAME_PERSON = "same_person"
    """The human has the message, or may have it: the recipient is skipped."""
    TWIN_OPEN = "twin_open"
    """The other one is being sent: its outcome is awaited."""


@dataclass(frozen=True, slots=True)
class OtherAttempt:
    """One claimed attempt of another recipient who is the same human."""

    outcome: str | None
    """Its outcome in the ledger; None: it is being sent."""
    has_failed: bool = False


def twin_refusal(others: Iterable[OtherAttempt]) -> TwinRefusal | None:
    """The refusal by these attempts, or None."""
    refusal = None
    for other in others:
        if other.outcome in MAY_HAVE_ARRIVED and not other.has_failed:
            return TwinRefusal.SAME_PERSON
        if other.outcome is None:
            refusal = TwinRefusal.TWIN_OPEN
    return refusal
