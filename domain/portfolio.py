"""The budget of the portfolio: how many people may get a message in any 24 hours, over all campaigns and numbers. Pure.

Meta limits how many different people a business portfolio may send to in any 24 hours. Messages within a service window
do not count. Source: Meta, messaging limits, copy of 2026-09: 250, 2,000, 10,000, 100,000, or unlimited.

Each release charges its person to a bucket of some minutes. A person counts once, in the bucket of the newest charge. A
message may be posted until its bucket is three buckets old, and the bucket counts for 24 hours from then. So at most
the budget of people get a post in any 24 hours, however the posts fall into the buckets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

WINDOW_S = 86_400.0
BUCKETS = 288
"""Buckets of a window: of five minutes each."""
POST_BUCKETS = 3
"""A message may be posted within so many buckets from the beginning of that of its release."""
UNLIMITED = -1
"""Meta's number for a portfolio without a limit (webhook `business_capability_update`)."""


@dataclass(frozen=True, slots=True)
class PortfolioBudget:
    """The budget of the settings: people, and the length of the window in seconds, which is shorter in a demo."""

    people_max: int
    window_s: float = WINDOW_S

    @property
    def _bucket_s(self) -> float:
        return self.window_s / BUCKETS

    @property
    def bucket_length(self) -> timedelta:
        """The length of a bucket."""
        return timedelta(seconds=self._bucket_s)

    def bucket_of(self, at: datetime) -> datetime:
        """The beginning of the bucket of this moment."""
        return datetime.fromtimestamp(at.timestamp() // self._bucket_s * self._bucket_s, UTC)

    def post_before(self, bucket: datetime) -> datetime:
        """Until when a message that is charged to this bucket may be posted."""
        return bucket + timedelta(seconds=POST_BUCKETS * self._bucket_s)

    def free_at(self, bucket: datetime) -> datetime:
        """When the people of this bucket stop counting."""
        return self.post_before(bucket) + timedelta(seconds=self.window_s)

    @property
    def period(self) -> timedelta:
        """After so long a charge at the beginning of a bucket counts no more."""
        return timedelta(seconds=self.window_s + POST_BUCKETS * self._bucket_s)

    def counts_after(self, now: datetime) -> datetime:
        """Buckets that begin after this moment still count."""
        return now - self.period


def lower_limit(people_max: int, reported: int | None) -> int:
    """The limit that holds: ours, or that of Meta where it is lower."""
    return people_max if reported is None or reported < 0 else min(people_max, reported)


@dataclass(frozen=True, slots=True)
class PortfolioUse:
    """How much of the budget is used now."""

    people_max: int | None
    """The budget of the settings; None: there is none, and nothing is charged."""
    reported: int | None
    """What Meta reported by webhook; -1: unlimited, None: nothing yet."""
    reported_at: datetime | None
    used: int
    """People who got a message, or may still get it, in the window."""
    free_at: datetime | None
    """When the first of them stop counting."""

    @property
    def limit(self) -> int | None:
        """The limit that holds; None: releases are not limited."""
        return None if self.people_max is None else lower_limit(self.people_max, self.reported)

    @property
    def left(self) -> int | None:
        """How many more people may get a message now; None: all."""
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class BudgetOutlook:
    """How the budget becomes free. Laws: more people never come earlier, and `left` people come at once."""

    left: int
    """How many people may get a message now."""
    frees: tuple[tuple[datetime, int], ...]
    """When people who count now stop counting, and how many, the earliest first."""
    period: timedelta
    """After so long a person who gets a message stops counting."""

    @classmethod
    def of(cls, budget: PortfolioBudget, buckets: Iterable[tuple[datetime, int]]) -> BudgetOutlook:
        """The outlook of a budget. `buckets`: the people of each bucket that counts, the earliest first."""
        counted = [(budget.free_at(began_at), people) for began_at, people in buckets]
        left = budget.people_max - sum(people for _, people in counted)
        over, frees = max(0, -left), []  # a lower limit: the first people who stop counting make no room
        for at, people in counted:
            lost = min(over, people)
            over -= lost
            if people > lost:
                frees.append((at, people - lost))
        return cls(max(0, left), tuple(frees), budget.period)

    def lets_through(self, people: int, now: datetime) -> datetime | None:
        """When the last of so many further people may get a message, if nobody else uses the budget. None: never."""
        turns = ((now, self.left), *((max(now, at), n) for at, n in self.frees))
        in_period = sum(n for _, n in turns)
        if people <= self.left:
            return now
        if in_period <= 0:
            return None
        periods, rest = divmod(people - 1, in_period)
        for at, n in turns:
            if rest < n:
                return _later(at, periods * self.period)
            rest -= n
        raise AssertionError("the rest is smaller than the sum")


def _later(at: datetime, wait: timedelta) -> datetime | None:
    try:
        return at + wait
    except OverflowError:
        return None


def people_before(waiting: int, others: Iterable[int]) -> int:
    """How many people the budget lets through until the last of `waiting` is, while campaigns share it evenly.

    `others`: the waiting recipients of the other active campaigns. A campaign with fewer is done earlier.
    """
    return waiting + sum(min(waiting, each) for each in others)


def portfolio_text(use: PortfolioUse) -> str | None:
    """The figures of the budget for a person; None: there is no budget."""
    return None if use.limit is None else f"{use.used:,} of {use.limit:,} people in 24 hours"
