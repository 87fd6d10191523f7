"""Halts a stage with too many dead letters, because then our code is at fault and not the data.

A halted stage stays alive, acknowledges nothing more, and reports the halt until an operator stops it. If it exited,
each restart would count from zero and dead-letter as many again, until the topic is empty. Before it halts, a stage
dead-letters up to the limit, so that a restart gets further.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import structlog

from runtime import metrics
from runtime.health import HEALTH
from runtime.waiting import pause

WINDOW_S = 60.0
SHARE_ITEMS_MIN = 1000
"""Fewest items for which a share is judged. They are the latest items, however old: bad code may be slow."""
SHARE_MAX = 0.5
LOG_EVERY_S = 60.0
BEAT_S = 0.5

REMEDY = (
    "this record and the following ones wait. If the code is at fault, fix it, restart, then run"
    " `campaigns dead-letters redrive`. If the data is at fault, raise CAMPAIGNS_DEAD_LETTER_{} and restart"
)


class TooManyDeadLetters(Exception):
    """The stage must halt with the batch unacknowledged, until an operator acts."""


class Load(NamedTuple):
    """What a batch adds to the limits."""

    letters: int
    """Dead letters that are evidence about our code."""
    dead: float
    """The items that are dead. A body of which a tenth is dead counts a tenth."""
    items: int
    """The records or bodies of the batch."""


class DeadLetterLimit:
    """Counts the dead letters of the last minute, and their share in the latest items. The clock is a parameter."""

    def __init__(self, per_minute_max: int, share_max: float = SHARE_MAX) -> None:
        self._per_minute_max = per_minute_max
        self._share_max = share_max
        self._counted: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._last: deque[Load] = deque()
        self._items = 0

    def require(self, now_s: float, load: Load, *, is_divisible: bool = True) -> None:
        """Raise TooManyDeadLetters if a batch would exceed a limit.

        One record cannot be divided. If it exceeds the limit of a minute alone, in a minute without other letters, it
        passes: no restart could ever get beyond it.
        """
        while self._counted and self._counted[0][0] <= now_s - WINDOW_S:
            self._sum -= self._counted.popleft()[1]
        if not load.letters:
            return
        if self._sum + load.letters > self._per_minute_max and (self._sum or is_divisible):
            raise TooManyDeadLetters(
                f"{self._sum + load.letters} dead letters within a minute, more than {self._per_minute_max}: "
                + REMEDY.format("RATE_MAX")
            )
        dead, items = load.dead + sum(each.dead for each in self._last), load.items + self._items
        if items >= SHARE_ITEMS_MIN and dead > items * self._share_max:
            raise TooManyDeadLetters(
                f"{dead:.0f} of the last {items} items are dead letters, a share of more than {self._share_max:g}: "
                + REMEDY.format("SHARE_MAX")
            )

    def add(self, now_s: float, load: Load) -> None:
        """Count a finished batch, whose letters are published."""
        if load.letters:
            self._counted.append((now_s, load.letters))
            self._sum += load.letters
        if not load.items:
            return
        self._last.append(load)
        self._items += load.items
        while self._items - self._last[0].items >= SHARE_ITEMS_MIN:
            self._items -= self._last.popleft().items


async def halt_until_stopped(
    error: TooManyDeadLetters, stage: str, stop: asyncio.Event, beat: Callable[[], None]
) -> None:
    """Do nothing until `stop`, and log the reason every minute. `beat` shows the watchdog that this is intended."""
    metrics.STAGE_HALTED.labels(stage).set(1)
    HEALTH.halted()
    logged_at = -LOG_EVERY_S
    while not stop.is_set():
        if time.monotonic() - logged_at >= LOG_EVERY_S:
            logged_at = time.monotonic()
            structlog.get_logger(stage).error("stage halted: too many dead letters", error=str(error))
        beat()
        await pause(stop, BEAT_S)
