"""What a batch learns about a message by its wamid, and the statuses parked until its recipient is known. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from schemas.model import RecipientId

from domain.facts import NOTHING, Acceptance, Facts, FailedAttempt, PricedAt
from domain.prices import with_attempt

PARKED_ATTEMPT = 1
"""Parked statuses are folded as facts of this attempt, because the real one is not known yet. See `as_attempt`."""


@dataclass(slots=True)
class Learned:
    """What the events of one batch state about one wamid. The fold fills it, event by event."""

    recipient_id: RecipientId | None = None
    attempt: int | None = None
    phone_number_id: str | None = None
    parked: Facts = NOTHING
    priced: PricedAt | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A row of `messages` that a batch has changed."""

    wamid: str
    recipient_id: RecipientId | None
    attempt: int | None
    parked: Facts | None
    """The parked statuses as facts of `attempt`. None while none is parked, or while the recipient is unknown."""


def as_attempt(parked: Facts, attempt: int) -> Facts:
    """Facts that were parked as PARKED_ATTEMPT, as facts of the attempt that their wamid belongs to."""
    if attempt == PARKED_ATTEMPT:
        return parked
    bit = 1 << attempt
    return replace(
        parked,
        attempt=attempt,
        accepted_attempts=bit if parked.accepted_attempts else 0,
        acceptance=None if parked.acceptance is None else replace(parked.acceptance, attempt=attempt),
        failed_attempts=bit if parked.failed_attempts else 0,
        held_back_attempts=bit if parked.held_back_attempts else 0,
        failure=None if parked.failure is None else replace(parked.failure, attempt=attempt),
        price=parked.price and with_attempt(parked.price, attempt),
    )


def earliest(facts: Facts) -> datetime | None:
    """The earliest time that parked facts state."""
    stated = (stated_at(facts.acceptance), facts.replied_at, stated_at(facts.failure))
    return min((at for at in stated if at is not None), default=None)


def stated_at(stated: Acceptance | FailedAttempt | PricedAt | None) -> datetime | None:
    """The time of a fact, if there is one."""
    return None if stated is None else stated.at
