"""A model of the budgets in Postgres: the attempts of each campaign and day, and the people of the portfolio."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from domain.people import PersonKey
from schemas.model import CampaignId
from tests.properties.pipeline.humans import Humans
from tests.properties.pipeline.limits import CAMPAIGN
from tests.properties.pipeline.rows import START, Key

CampaignDay = tuple[CampaignId, date]


@dataclass(slots=True)
class Budgets(Humans):
    """What was charged, and what was given back."""

    days: Counter[CampaignDay] = field(default_factory=Counter)
    charged: dict[Key, CampaignDay] = field(default_factory=dict)
    """Each released attempt, with the day that paid for it."""
    returned: Counter[Key] = field(default_factory=Counter)
    buckets: Counter[datetime] = field(default_factory=Counter)
    """The people of each bucket of the portfolio."""
    charges: dict[Key, tuple[PersonKey, datetime]] = field(default_factory=dict)
    """The person and the bucket of each attempt that the portfolio counts."""
    portfolio_returns: list[Key] = field(default_factory=list)

    @property
    def used(self) -> int:
        """What is used of all days."""
        return self.days.total()

    def left_today(self, campaign: CampaignId, now: datetime) -> int | None:
        """What is left of the limit of the day; None: there is no limit."""
        limit = self.limits.campaigns[campaign].daily_limit
        if limit is None or not self.rules.day:
            return None
        return max(0, limit - self.days[campaign, self.limits.day(campaign, now)])

    def left_in_portfolio(self, now: datetime) -> int | None:
        """How many more people may get a message; None: there is no budget."""
        budget = self.limits.portfolio
        if budget is None or not self.rules.people:
            return None
        counts_after = budget.counts_after(now)
        return max(0, budget.people_max - sum(n for bucket, n in self.buckets.items() if bucket > counts_after))

    def charge(self, key: Key, now: datetime) -> None:
        """Charge a released attempt to the day of its campaign, and its person to the portfolio."""
        row = self.rows[key[0]]
        self.charged[key] = (row.campaign, self.limits.day(row.campaign, now))
        self.days[self.charged[key]] += 1
        self.attempts.append((key, now))
        budget = self.limits.portfolio
        if budget is None:
            return
        bucket, newest = budget.bucket_of(now), self._newest(row.person, now)
        self.charges[key] = (row.person, bucket)
        if newest is None or newest < bucket:
            self.buckets[bucket] += 1
            if newest is not None:
                self.buckets[newest] -= 1

    def _newest(self, person: PersonKey, now: datetime) -> datetime | None:
        """The bucket in which a person counts."""
        assert self.limits.portfolio is not None, "there is a budget"
        counts_after = self.limits.portfolio.counts_after(now)
        return max((at for who, at in self.charges.values() if who == person and at > counts_after), default=None)

    def give_budget_back(self, key: Key) -> None:
        """Give back what an attempt used that was surely not posted. The portfolio gets it with the next round."""
        self.days[self.charged.get(key, (CAMPAIGN, START.date()))] -= 1
        self.returned[key] += 1
        if key in self.charges and self.rules.back:
            self.portfolio_returns.append(key)

    def settle_portfolio(self, now: datetime) -> None:
        """Delete the charges of attempts that were not posted. A person with another charge moves to its bucket."""
        returned, self.portfolio_returns = self.portfolio_returns, []
        for key in returned:
            if key in self.charges:
                person, _ = self.charges[key]
                old = self._newest(person, now)
                del self.charges[key]
                new = self._newest(person, now)
                if old is not None and old != new:
                    self.buckets[old] -= 1
                    if new is not None:
                        self.buckets[new] += 1
