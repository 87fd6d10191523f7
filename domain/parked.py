"""What a batch learns of a message by its wamid, and the statuses that wait until its recipient is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.model import RecipientId

from domain.facts import NOTHING, Acceptance, Facts, FailedAttempt, PricedAt


@dataclass(slots=True)
class Learned:
    """What one batch says of one wamid; filled by the fold, event by event."""

    recipient_id: RecipientId | None = None
    attempt: int | None = None
    phone_number_id: str | None = None
    parked: Facts = NOTHING
    priced: PricedAt | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A row that learned something: its recipient, where known, and the facts parked for it."""

    wamid: str
    recipient_id: RecipientId | None
    attempt: int | None
    parked: Facts | None
    """Told for `attempt`; None while nothing is parked or nobody has claimed the wamid."""


def earliest(facts: Facts) -> datetime | None:
    """The earliest time that parked facts state."""
    stated = (stated_at(facts.acceptance), facts.replied_at, stated_at(facts.failure))
    return min((at for at in stated if at is not None), default=None)


def stated_at(stated: Acceptance | FailedAttempt | PricedAt | None) -> datetime | None:
    """The time that a fact states, if it states anything."""
    return None if stated is None else stated.at
