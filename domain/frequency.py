"""The frequency cap: at most so many messages to one human in so many days, over all campaigns. Pure.

A message counts once it is posted, until the days are over. One that was refused, or that failed later, does not count.
One that is released and not answered yet may still be posted, so it takes a place too, but it makes nobody lose a
message: its outcome is awaited.

A capped recipient is deferred until the cap allows its message. If that is later than the recipient may wait, the
recipient is skipped. `counted_attempts` and `release_due` in tables/sql repeat these rules, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

MESSAGES_MAX = 100
DAYS_MAX = 30
WAIT_DAYS_MAX = 365
ATTEMPTS_KEPT_DAYS = DAYS_MAX + 3
"""How long a release is remembered: its outcome is known three days later at most."""
OUTCOME_WAIT = timedelta(minutes=5)
"""How long a recipient waits for the outcomes of other messages before it is judged again."""


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most `messages` to one human in any `days` of 24 hours."""

    messages: int
    days: int

    @property
    def span(self) -> timedelta:
        """How long a posted message counts."""
        return timedelta(days=self.days)


class CapVerdict(StrEnum):
    """What the cap says about a recipient that is due."""

    SEND = "send"
    DEFER = "defer"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class CapJudgement:
    """The verdict. `until`: when a deferred recipient is judged again."""

    verdict: CapVerdict
    until: datetime | None = None


SEND = CapJudgement(CapVerdict.SEND)
SKIP = CapJudgement(CapVerdict.SKIP)


def allowed_at(posted: Collection[datetime], cap: FrequencyCap, now: datetime) -> datetime | None:
    """When the posted messages leave room for one more; None if they do now."""
    counted = sorted(at for at in posted if at > now - cap.span)
    return counted[len(counted) - cap.messages] + cap.span if len(counted) >= cap.messages else None


def judge(
    posted: Collection[datetime], open_attempts: int, cap: FrequencyCap, *, now: datetime, waits_until: datetime
) -> CapJudgement:
    """Judge a recipient by the messages of the same human.

    `open_attempts`: those that are released or being sent. `waits_until`: how long the recipient may wait.
    """
    free_at = allowed_at(posted, cap, now)
    if free_at is not None and free_at > waits_until:
        return SKIP
    if free_at is not None:
        return CapJudgement(CapVerdict.DEFER, max(free_at, now + OUTCOME_WAIT))
    counted = sum(at > now - cap.span for at in posted)
    if counted + open_attempts >= cap.messages:
        return CapJudgement(CapVerdict.DEFER, now + OUTCOME_WAIT)
    return SEND
