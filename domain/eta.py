"""When the rest of a campaign will be handled at its present rate, within its daily limit, its window and the budget of
the portfolio. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, inf

from domain.days import Day, UnknownTimeZone, day_at, day_of
from domain.lifecycle import CampaignStatus
from domain.windows import WHOLE_DAY, SendingWindow, next_open, open_periods

DAY_S = 86_400
DAYS_MAX = 3650
"""An estimate that is further away than ten years is none."""
UNLIMITED_PER_S = 1e9
"""Stands for a rate that is not known: the daily limit alone decides then."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a campaign goes, and what limits it."""

    per_s: float | None
    """Recipients handled per second in the last minutes; None if it is not known."""
    time_zone: str = "UTC"
    daily_limit: int | None = None
    used_today: int = 0
    """The part of the daily limit that today's releases have used."""
    window: SendingWindow = WHOLE_DAY
    start_at: datetime | None = None
    """Nothing is sent before."""
    budget_at: datetime | None = None
    """When the budget of the portfolio lets the last recipient through; None: there is no budget."""
    has_canary: bool = False
    """A canary limits it. The rate then says how its first people are sent to, and nothing about the rest."""


def handled_per_s(handled: int, since: datetime, now: datetime) -> float | None:
    """The rate of these recipients since then, or None without time or without a handled recipient."""
    seconds = (now - since).total_seconds()
    return handled / seconds if seconds > 0 and handled > 0 else None


def eta(status: str, pending: int, queued: int, pace: Pace, now: datetime) -> datetime | None:
    """When the last of these recipients will have an outcome. None: nothing is sent, nothing remains, or no rate.

    The budget of the portfolio can only make it later: it lets the last recipient through at `budget_at`, or when the
    window opens after that.

    Once the daily limit of today is used, nothing is handled any more. Then the days decide, and the estimate is when
    the last of them begins to send. While a canary limits the campaign there is no estimate.

    `queued` recipients are released, so the daily limit has counted them already. A window that follows the recipients
    is estimated by the clock of the campaign. The weeks after the first two days are computed with seven equal days: a
    change to or from daylight saving time makes the estimate wrong by at most an hour.
    """
    if status != CampaignStatus.ACTIVE or pending + queued <= 0 or pace.has_canary:
        return None
    waits_until = pace.budget_at if pace.budget_at is not None and pace.budget_at > now else None
    rate = pace.per_s or 0.0
    if rate <= 0 and _waits_for_tomorrow(queued, pace):
        rate = UNLIMITED_PER_S
    if rate <= 0:  # with a used budget nothing is handled, and the budget decides
        return None if waits_until is None else _open_from(waits_until, pace, now)
    end = _end_by_rate(pending, queued, rate, pace, now)
    if end is None or waits_until is None or waits_until <= end:
        return end
    return _open_from(waits_until, pace, now)


def _waits_for_tomorrow(queued: int, pace: Pace) -> bool:
    """Whether today's limit is used, and the outcomes of today's recipients are known."""
    return queued == 0 and pace.daily_limit is not None and pace.used_today >= pace.daily_limit > 0


def _open_from(at: datetime, pace: Pace, now: datetime) -> datetime | None:
    """The first open moment from this one on, in whole seconds."""
    begins_at = at if pace.start_at is None else max(at, pace.start_at)
    try:
        opens_at = next_open(pace.window, [pace.time_zone], begins_at)
    except UnknownTimeZone:
        return None
    return None if opens_at is None else _after(now, (opens_at - now).total_seconds())


def _end_by_rate(pending: int, queued: int, rate: float, pace: Pace, now: datetime) -> datetime | None:
    """The end without the budget of the portfolio."""
    remaining = pending + queued
    begins_at = now if pace.start_at is None else max(now, pace.start_at)
    if pace.daily_limit is None and pace.window.is_always:
        return _after(begins_at, remaining / rate)
    try:
        today = day_of(begins_at, pace.time_zone)
    except UnknownTimeZone:
        return None
    limit = inf if pace.daily_limit is None else pace.daily_limit
    used = pace.used_today if begins_at == now else 0
    first = _Share(begins_at, today, queued + max(0, limit - used))
    if (end := first.end_of(remaining, rate, pace)) is not None:
        return end
    rest = remaining - first.capacity(rate, pace)
    weeks = _full_weeks(rest, rate, limit, pace.window)
    if weeks is None or 7 * weeks >= DAYS_MAX:
        return None
    rest -= weeks * _week_capacity(rate, limit, pace.window)
    for day in range(1, 9):
        next_day = day_at(today.date + timedelta(days=day + 7 * weeks), pace.time_zone)
        share = _Share(next_day.starts_at, next_day, limit)
        if (end := share.end_of(rest, rate, pace)) is not None:
            return end if end - now < timedelta(days=DAYS_MAX) else None
        rest -= share.capacity(rate, pace)
    return None


@dataclass(frozen=True, slots=True)
class _Share:
    """What a day, from a moment on, can take."""

    begins_at: datetime
    day: Day
    allowed: float

    def _periods(self, pace: Pace) -> list[tuple[datetime, datetime]]:
        return list(open_periods(pace.window, [pace.time_zone], self.begins_at, self.day.ends_at))

    def capacity(self, rate: float, pace: Pace) -> float:
        """The recipients that it can take."""
        return min(self.allowed, rate * sum((end - start).total_seconds() for start, end in self._periods(pace)))

    def end_of(self, remaining: float, rate: float, pace: Pace) -> datetime | None:
        """When it has taken all of these; None if they are too many."""
        if remaining > self.allowed:
            return None
        needed_s = remaining / rate
        for start, end in self._periods(pace):
            if needed_s <= (end - start).total_seconds():
                return _after(start, needed_s)
            needed_s -= (end - start).total_seconds()
        return None


def _week_capacity(rate: float, limit: float, window: SendingWindow) -> float:
    open_s = 60 * sum(end - start for start, end in window.spans)
    return len(window.days) * min(limit, rate * open_s)


def _full_weeks(rest: float, rate: float, limit: float, window: SendingWindow) -> int | None:
    """The weeks that these recipients fill, but for the last one; None if they are too many to tell."""
    weeks = rest / _week_capacity(rate, limit, window)
    return max(0, ceil(weeks) - 1) if weeks < DAYS_MAX else None


def _after(moment: datetime, seconds: float) -> datetime | None:
    return moment + timedelta(seconds=ceil(seconds)) if seconds < DAYS_MAX * DAY_S else None
