"""How sends are spread over days by a daily limit.

Pure arithmetic. It only plans. The budget rows enforce the limit at release, so that even an outdated plan never
exceeds the limit of a day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.days import Day, day_at
from domain.windows import WEEK, Weekday

HORIZON_DAYS = 3650
"""Days that a plan may have. Recipients beyond wait on its last day, and move on as its limit is used up."""


@dataclass(frozen=True, slots=True)
class Slot:
    """`count` recipients planned for the same moment."""

    at: datetime
    count: int


def spread(
    count: int,
    *,
    now: datetime,
    today: Day,
    zone_name: str,
    daily_limit: int | None,
    planned: Mapping[date, int],
    weekdays: Collection[Weekday] = WEEK,
) -> list[Slot]:
    """Plan `count` recipients from now on: first the rest of today, then each of the weekdays from its start.

    `planned`: how many each day has already (planned or used). Without a limit everything is planned for now. The time
    of the day is that of the release, which obeys the window.
    """
    if count <= 0:
        return []
    if daily_limit is None:
        return [Slot(now, count)]
    return list(_fill(count, now, today, zone_name, daily_limit, planned, weekdays))


def _fill(
    count: int,
    now: datetime,
    today: Day,
    zone_name: str,
    daily_limit: int,
    planned: Mapping[date, int],
    weekdays: Collection[Weekday],
) -> Iterator[Slot]:
    day, last = today.date, today.date + timedelta(days=HORIZON_DAYS)
    while count > 0:
        room = daily_limit - planned.get(day, 0) if WEEK[day.weekday()] in weekdays else 0
        takes = count if day == last else min(count, room)
        if takes > 0:
            yield Slot(now if day == today.date else day_at(day, zone_name).starts_at, takes)
            count -= takes
        day += timedelta(days=1)
