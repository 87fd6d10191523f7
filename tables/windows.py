"""Which campaigns may send now, by their windows, and which could send nothing for too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

import structlog

from domain.days import Day, UnknownTimeZone, day_of
from domain.windows import Hours, InvalidWindow, Periods, WindowZone, make_window
from schemas.reasons import PauseReason
from tables.database import Connection
from tables.release_memory import ReleaseMemory
from tables.statements import load

_SQL = load("windows")

log = structlog.get_logger(__name__)

WindowRow: TypeAlias = tuple[Any, ...]
"""The columns that make the hours of a campaign: days, from, to, quiet from and to, whose clock, time zone."""
OWN_CLOCK = ""
"""The country of recipients that follow the clock of the campaign."""


@dataclass(frozen=True, slots=True)
class SendingCampaign:
    """A campaign whose window is open, on the current day of its time zone."""

    day: Day
    deadlines: Mapping[str, datetime]
    """The open countries, each with the end of the window or of the day, whichever comes first."""
    follows: bool
    """The clocks of the recipients' countries decide."""
    window: WindowRow
    """What this was judged by."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The open campaigns, and those whose hours make no sense."""

    campaigns: Mapping[UUID, SendingCampaign]
    broken: Mapping[UUID, PauseReason]

    def parameters(self) -> dict[str, Any]:
        """The open campaigns and countries as parameters of a statement."""
        pairs = [
            (campaign, country)
            for campaign, each in self.campaigns.items()
            if each.follows
            for country in each.deadlines
        ]
        return {
            "open": list(self.campaigns),
            "following": [campaign for campaign, _ in pairs],
            "countries": [country for _, country in pairs],
        }


async def find_open(connection: Connection, memory: ReleaseMemory) -> Opening:
    """Judge the window of each active campaign that has started."""
    campaigns: dict[UUID, SendingCampaign] = {}
    broken: dict[UUID, PauseReason] = {}
    for campaign, number, now, countries, *window in await (await connection.execute(_SQL["list_sending"])).fetchall():
        if memory.is_held(campaign, number):
            continue
        try:
            found = _judge(now, countries, tuple(window), memory.periods)
        except UnknownTimeZone:
            broken[campaign] = PauseReason.INVALID_TIME_ZONE
        except InvalidWindow:
            broken[campaign] = PauseReason.INVALID_WINDOW
        else:
            if found.deadlines:
                campaigns[campaign] = found
    return Opening(campaigns, broken)


def _judge(now: datetime, countries: Sequence[str] | None, window: WindowRow, periods: Periods) -> SendingCampaign:
    *_, whose, time_zone = window
    day, hours = day_of(now, time_zone), hours_of(window)
    deadlines = {}
    for country in [OWN_CLOCK] if countries is None else countries:
        period = periods.at(hours.window, hours.zones(country), now)
        if period.is_open:
            deadlines[country] = day.ends_at if period.until is None else min(day.ends_at, period.until)
    return SendingCampaign(day, deadlines, whose == WindowZone.RECIPIENT, window)


def hours_of(window: WindowRow) -> Hours:
    """The hours of a campaign. Raises InvalidWindow."""
    days, *others = window
    return _hours(tuple(days), *others)


@lru_cache(maxsize=4096)
def _hours(
    days: tuple[str, ...],
    opens: str,
    closes: str,
    quiet_from: str | None,
    quiet_to: str | None,
    whose: str,
    time_zone: str,
) -> Hours:
    return Hours(make_window(days, opens, closes, quiet_from, quiet_to), WindowZone(whose), time_zone)


async def watch(connection: Connection, memory: ReleaseMemory) -> None:
    """Once a minute, pause the campaigns that could send nothing for longer than their limit.

    A campaign that is due and releases nothing, or that an open breaker holds, is not in order meanwhile; neither is
    any campaign while no scheduler runs. A new releaser begins with this, so after an outage nothing is released first.
    """
    blocked = memory.take_blocked()
    if blocked is None:
        return
    values = {"blocked": list(blocked), "reason": PauseReason.STALE.value}
    for (campaign,) in await (await connection.execute(_SQL["watch_campaigns"], values)).fetchall():
        log.error("a late campaign is paused, because nothing could be sent for too long", campaign_id=str(campaign))
