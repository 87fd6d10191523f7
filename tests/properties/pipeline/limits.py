"""What limits the campaigns of a walk, and who their recipients are.

The two campaigns of a limited walk are active, paused and cancelled together. Each has hours and a limit of the day of
its own, and both share the frequency cap, the budget of the portfolio, and the pair limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from uuid import UUID

from domain.days import day_of
from domain.frequency import FrequencyCap
from domain.people import PersonKey
from domain.portfolio import PortfolioBudget
from domain.windows import WEEK, Hours, Period, Periods, WindowZone, is_open, make_window
from schemas.model import CampaignId

CAMPAIGN, OTHER = CampaignId(UUID(int=7)), CampaignId(UUID(int=8))
COUNTRY = "GB"
"""Of the recipients whose own clock decides. It shows UTC during a walk."""


def _hours(quiet: tuple[str, str] | None, zone: str, follows: WindowZone = WindowZone.CAMPAIGN) -> Hours:
    return Hours(make_window(WEEK, "00:00", "24:00", *(quiet or (None, None))), follows, zone)


ALWAYS = _hours(None, "UTC")
HOURS: tuple[Hours, ...] = (
    ALWAYS,
    _hours(None, "Pacific/Fiji"),  # its midnight is at the start
    _hours(("12:01", "12:03"), "UTC"),
    _hours(("12:00", "12:01"), "UTC"),
    _hours(("12:01", "12:03"), "Asia/Kolkata", WindowZone.RECIPIENT),
)
"""Hours that change within the first minutes of a walk, which begins a minute before noon."""
SHUT = make_window(WEEK, "05:00", "05:01")
"""The window to which an operator changes. It is closed during a walk, by the clocks of all these zones."""


@dataclass(slots=True)
class CampaignLimits:
    """What limits one campaign. An operator changes its hours."""

    hours: Hours = ALWAYS
    daily_limit: int | None = None
    cap_wait_days: int = 0


@dataclass(frozen=True, slots=True)
class Recipient:
    """A row to begin with."""

    campaign: CampaignId
    person: PersonKey
    country: str = ""


@dataclass(slots=True)
class Limits:
    """The limits of all campaigns. Those of UNLIMITED never hold anything back."""

    campaigns: dict[CampaignId, CampaignLimits]
    cap: FrequencyCap | None = None
    portfolio: PortfolioBudget | None = None
    pair_s: float = 0.0

    def day(self, campaign: CampaignId, at: datetime) -> date:
        """The day of a campaign that a moment falls on."""
        return day_of(at, self.campaigns[campaign].hours.time_zone).date

    def period(self, campaign: CampaignId, country: str, at: datetime) -> Period:
        """Whether the window is open for a recipient."""
        hours = self.campaigns[campaign].hours
        return _PERIODS.at(hours.window, hours.zones(country), at)

    def is_open(self, campaign: CampaignId, country: str, at: datetime) -> bool:
        """Whether the clocks that decide for a recipient show a time of the window."""
        hours = self.campaigns[campaign].hours
        return is_open(hours.window, hours.zones(country), at)

    def deadline(self, campaign: CampaignId, country: str, at: datetime, until: datetime) -> datetime | None:
        """Until when a message that is released now may be posted, `until` at the latest; None: the window is closed.

        As tables.windows and tables.releases compute it.
        """
        period = self.period(campaign, country, at)
        if not period.is_open:
            return None
        ends = [until, day_of(at, self.campaigns[campaign].hours.time_zone).ends_at]
        ends += [] if period.until is None else [period.until]
        if self.portfolio is not None:
            ends.append(self.portfolio.post_before(self.portfolio.bucket_of(at)))
        return min(ends)


_PERIODS = Periods()


def unlimited() -> Limits:
    """Two campaigns without any limit."""
    return Limits({CAMPAIGN: CampaignLimits(), OTHER: CampaignLimits()})


def draw_limits(random: Random) -> Limits:
    """The limits of a walk, each of which may be missing."""
    campaigns = {
        campaign: CampaignLimits(random.choice(HOURS), random.choice((None, 1, 2)), random.choice((0, 2)))
        for campaign in (CAMPAIGN, OTHER)
    }
    cap = FrequencyCap(1, 1) if random.random() < 0.5 else None
    portfolio = PortfolioBudget(random.randint(1, 2), 2880.0) if random.random() < 0.5 else None
    return Limits(campaigns, cap, portfolio, random.choice((0.0, 6.0)))


def names(human: int) -> tuple[PersonKey, PersonKey, PersonKey]:
    """The names of a human: a number, its user id, and the number after a change. Each ends with the human."""
    return PersonKey(f"1555000000{human}"), PersonKey(f"user:US.{human}"), PersonKey(f"1555000001{human}")


def user_id_of(person: PersonKey) -> PersonKey:
    """The user id of an account: that of a number, or of the number after a change."""
    _, user, newer = names(int(person[-1]))
    return PersonKey(f"user:US.new{newer[-1]}") if person == newer else user


def draw_recipients(random: Random) -> list[Recipient]:
    """Rows of one or two humans in both campaigns. Two rows of a campaign may turn out to be one human."""
    number, user, newer = names(0)
    rows = [Recipient(CAMPAIGN, number, COUNTRY)]
    rows += random.sample([Recipient(CAMPAIGN, user), Recipient(OTHER, newer), Recipient(OTHER, number)], 2)
    return rows + ([Recipient(random.choice((CAMPAIGN, OTHER)), names(1)[0])] if random.random() < 0.3 else [])
