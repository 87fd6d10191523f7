"""The limits as a model: it records releases and posts apart from the database, and raises at a post that breaks one.

The model knows the settings of the campaigns and the clock. It reads no table, so it can be compared with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from domain.days import day_of
from domain.people import PersonKey
from domain.portfolio import PortfolioBudget
from domain.windows import Hours, is_open
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId

Key = tuple[RecipientId, int]
COUNTRY = "US"
"""Of all numbers and user ids of a walk."""


@dataclass(slots=True)
class CampaignSettings:
    """What limits one campaign."""

    number: str
    hours: Hours
    daily_limit: int | None


@dataclass(frozen=True, slots=True)
class Post:
    """A request that Meta received."""

    campaign: CampaignId
    number: str
    person: PersonKey
    at: datetime


@dataclass(slots=True)
class Limits:
    """The recorded releases and posts."""

    portfolio: PortfolioBudget
    pair: timedelta
    campaigns: dict[CampaignId, CampaignSettings] = field(default_factory=dict)
    posts: list[Post] = field(default_factory=list)
    charged: dict[Key, tuple[CampaignId, date]] = field(default_factory=dict)
    """Each released attempt with the day that paid for it."""
    taken: set[Key] = field(default_factory=set)
    """Attempts that a sender has claimed."""
    unsent: set[Key] = field(default_factory=set)
    """Claimed attempts that were surely not posted."""

    def release(self, jobs: Iterable[SendJob], now: datetime) -> None:
        """Charge released attempts to the present day of their campaign."""
        for job in jobs:
            day = day_of(now, self.campaigns[job.campaign_id].hours.time_zone).date
            assert (job.recipient_id, job.attempt) not in self.charged, "an attempt is released twice"
            self.charged[job.recipient_id, job.attempt] = (job.campaign_id, day)

    def post(self, job: SendJob, person: PersonKey, now: datetime) -> None:
        """Record a post, and fail if a limit does not allow it."""
        settings = self.campaigns[job.campaign_id]
        post = Post(job.campaign_id, settings.number, person, now)
        assert now < job.send_before, "a post after the moment until which it may be sent"
        assert is_open(settings.hours.window, settings.hours.zones(COUNTRY), now), "a post outside the window"
        pairs = [each.at for each in self.posts if (each.number, each.person) == (post.number, person)]
        assert all(now - at >= self.pair for at in pairs), "two posts of a pair at a time"
        self.posts.append(post)
        today = day_of(now, settings.hours.time_zone)
        sent = sum(each.campaign == job.campaign_id and each.at >= today.starts_at for each in self.posts)
        assert settings.daily_limit is None or sent <= settings.daily_limit, "more posts than the limit of the day"
        assert self.people(now) <= self.portfolio.people_max, "more people in 24 hours than the portfolio allows"

    def people(self, now: datetime) -> int:
        """How many people got a post in the 24 hours before this moment."""
        return len({each.person for each in self.posts if each.at > now - timedelta(seconds=self.portfolio.window_s)})

    def budgets(self, released: Collection[Key]) -> Mapping[tuple[CampaignId, date], int]:
        """How much of each day is used. `released`: the attempts that may still be claimed."""
        used = (self.taken - self.unsent).union(released)
        return Counter(charged for key, charged in self.charged.items() if key in used)
