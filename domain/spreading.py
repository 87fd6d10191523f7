"""How sends are spread: over days by a daily limit, and within a step over the campaigns that share a number.

Pure arithmetic. It only plans. The budget rows enforce the limit at release, so that even an outdated plan never
exceeds the limit of a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from domain.days import Day, day_at


@dataclass(frozen=True, slots=True)
class Slot:
    """`count` recipients planned for the same moment."""

    at: datetime
    count: int


def spread(
    count: int, *, now: datetime, today: Day, zone_name: str, daily_limit: int | None, planned: Mapping[date, int]
) -> list[Slot]:
    """Plan `count` recipients from now on: first the rest of today, then each day from its start.

    `planned`: how many each day has already (planned or used). Without a limit everything is planned for now.
    """
    if count <= 0:
        return []
    if daily_limit is None:
        return [Slot(now, count)]
    return list(_fill(count, now, today, zone_name, daily_limit, planned))


def _fill(
    count: int, now: datetime, today: Day, zone_name: str, daily_limit: int, planned: Mapping[date, int]
) -> Iterator[Slot]:
    day = today.date
    while count > 0:
        takes = min(count, daily_limit - planned.get(day, 0))
        if takes > 0:
            yield Slot(now if day == today.date else day_at(day, zone_name).starts_at, takes)
            count -= takes
        day += timedelta(days=1)


def fair_shares(room: int, demands: Sequence[int]) -> list[int]:
    """Divide `room` over `demands`: no demand gets more than its size, and unused shares go to the others.

    A remainder goes to the first demands, so order them by the least served so far.
    """
    shares = [0] * len(demands)
    open_ones = [index for index, demand in enumerate(demands) if demand > 0]
    while room > 0 and open_ones:
        each = max(1, room // len(open_ones))
        for index in open_ones:
            given = min(each, demands[index] - shares[index], room)
            shares[index] += given
            room -= given
        open_ones = [index for index in open_ones if shares[index] < demands[index]]
    return shares
