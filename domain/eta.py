"""When the rest of a campaign will be handled at its present rate, within its daily limit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from domain.days import UnknownTimeZone, day_at, day_of
from domain.lifecycle import CampaignStatus

DAY_S = 86_400
DAYS_MAX = 3650
"""An estimate that is further away than ten years is none."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a campaign goes, and what limits it."""

    per_s: float | None
    """Recipients handled per second in the last minutes; None if it is not known."""
    time_zone: str = "UTC"
    daily_limit: int | None = None
    used_today: int = 0
    """The part of the daily limit that today's releases have used."""


def handled_per_s(handled: int, since: datetime, now: datetime) -> float | None:
    """The rate of these recipients since then, or None without time or without a handled recipient."""
    seconds = (now - since).total_seconds()
    return handled / seconds if seconds > 0 and handled > 0 else None


def eta(status: str, pending: int, queued: int, pace: Pace, now: datetime) -> datetime | None:
    """When the last of these recipients will have an outcome. None: nothing is sent, nothing remains, or no rate.

    `queued` recipients are released, so the daily limit has counted them already. The days after today are computed
    with 24 hours: a change to or from daylight saving time makes the estimate wrong by at most an hour.
    """
    remaining, rate = pending + queued, pace.per_s
    if status != CampaignStatus.ACTIVE or remaining <= 0 or rate is None or rate <= 0:
        return None
    if pace.daily_limit is None:
        return _after(now, remaining / rate)
    try:
        today = day_of(now, pace.time_zone)
    except UnknownTimeZone:
        return None
    allowed = queued + max(0, pace.daily_limit - pace.used_today)
    handled_today = min(remaining, allowed, rate * (today.ends_at - now).total_seconds())
    rest = remaining - handled_today
    if rest <= 0:
        return _after(now, remaining / rate)
    per_day = min(pace.daily_limit, rate * DAY_S)
    full_days = ceil(rest / per_day) - 1
    if full_days >= DAYS_MAX:
        return None
    last_day = day_at(today.date + timedelta(days=1 + full_days), pace.time_zone)
    return _after(last_day.starts_at, (rest - full_days * per_day) / rate)


def _after(moment: datetime, seconds: float) -> datetime | None:
    return moment + timedelta(seconds=ceil(seconds)) if seconds < DAYS_MAX * DAY_S else None
