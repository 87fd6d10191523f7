"""The plot of a campaign: its minutes, gathered into as many columns as fit on a screen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tables.stats import Minute

COLUMNS_MAX = 180
MINUTES_MAX = 7 * 24 * 60
"""Most minutes that are read: a week in which something happened in each."""
STEPS = tuple(timedelta(minutes=each) for each in (1, 2, 5, 10, 30, 60, 180, 360, 1440, 10_080))
"""Widths of a column. The narrowest that gives few enough columns is used."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Column:
    """How many messages changed from `at` until the next column."""

    at: datetime
    sent: int
    delivered: int
    read: int
    failed: int


@dataclass(frozen=True, slots=True)
class Plot:
    """Columns without gaps, and the width of each."""

    step: timedelta
    columns: tuple[Column, ...]

    @property
    def step_words(self) -> str:
        """The width in words, as in `per minute`."""
        minutes = int(self.step.total_seconds() // 60)
        for size, word in ((1440, "day"), (60, "hour"), (1, "minute")):
            if minutes % size == 0:
                n = minutes // size
                return word if n == 1 else f"{n} {word}s"
        raise AssertionError("a step has whole minutes")


def plot(minutes: Sequence[Minute]) -> Plot | None:
    """The plot of these minutes, the oldest first; None without any. Minutes without a change are zero."""
    if not minutes:
        return None
    first, last = minutes[0].minute, minutes[-1].minute
    step = next((each for each in STEPS if (last - first) // each < COLUMNS_MAX - 1), STEPS[-1])
    start = first - (first - _EPOCH) % step
    sums: dict[int, list[int]] = {}
    for each in minutes:
        column = sums.setdefault((each.minute - start) // step, [0, 0, 0, 0])
        for place, n in enumerate((each.sent, each.delivered, each.read, each.failed)):
            column[place] += n
    count = (last - start) // step + 1
    columns = tuple(
        Column(start + n * step, *sums.get(n, (0, 0, 0, 0))) for n in range(max(0, count - COLUMNS_MAX), count)
    )
    return Plot(step, columns)
