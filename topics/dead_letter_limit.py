"""Halts a stage with too many dead letters, because then our code is at fault and not the data.

A halted stage stays alive, acknowledges nothing, and reports the halt until an operator stops it. If it exited, each
restart would count from zero and dead-letter as many again, until the topic is empty.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog

from runtime import metrics
from runtime.waiting import pause

WINDOW_S = 60.0
SHARE_ITEMS_MIN = 1000
"""Fewest items for which a share is judged. They are the latest items, however old: bad code may be slow."""
SHARE_MAX = 0.5
LOG_EVERY_S = 60.0
BEAT_S = 0.5

REMEDY = (
    "nothing from this batch was dead-lettered. If the code is at fault, fix it, restart, then run"
    " `campaigns dead-letters redrive`. If the data is at fault, raise CAMPAIGNS_DEAD_LETTER_{} and restart"
)


class TooManyDeadLetters(Exception):
    """The stage must halt with the batch unacknowledged, until an operator acts."""


class DeadLetterLimit:
    """Counts the dead letters of the last minute, and their share in the latest items. The clock is a parameter."""

    def __init__(self, per_minute_max: int, share_max: float = SHARE_MAX) -> None:
        self._per_minute_max = per_minute_max
        self._share_max = share_max
        self._counted: deque[tuple[float, int]] = deque()
        self._sum = 0
        self._last: deque[tuple[int, int]] = deque()
        self._last_dead = self._last_items = 0

    def require(self, now_s: float, dead: int, items: int) -> None:
        """Raise TooManyDeadLetters if a batch with `dead` letters among `items` items would exceed a limit."""
        while self._counted and self._counted[0][0] <= now_s - WINDOW_S:
            self._sum -= self._counted.popleft()[1]
        if not dead:
            return
        if self._sum + dead > self._per_minute_max:
            raise TooManyDeadLetters(
                f"{self._sum + dead} dead letters within a minute, more than {self._per_minute_max}: "
                + REMEDY.format("RATE_MAX")
            )
        dead, items = self._last_dead + dead, self._last_items + items
        if items >= SHARE_ITEMS_MIN and dead > items * self._share_max:
            raise TooManyDeadLetters(
                f"{dead} of the last {items} items are dead letters, a share of more than {self._share_max:g}: "
                + REMEDY.format("SHARE_MAX")
            )

    def add(self, now_s: float, dead: int, items: int) -> None:
        """Count a finished batch: its items, and the dead letters among them, which are published."""
        if dead:
            self._counted.append((now_s, dead))
            self._sum += dead
        if not items:
            return
        self._last.append((dead, items))
        self._last_dead += dead
        self._last_items += items
        while self._last_items - self._last[0][1] >= SHARE_ITEMS_MIN:
            gone_dead, gone = self._last.popleft()
            self._last_dead -= gone_dead
            self._last_items -= gone


async def halt_until_stopped(
    error: TooManyDeadLetters, stage: str, stop: asyncio.Event, beat: Callable[[], None]
) -> None:
    """Do nothing until `stop`, and log the reason every minute. `beat` shows the watchdog that this is intended."""
    metrics.STAGE_HALTED.labels(stage).set(1)
    logged_at = -LOG_EVERY_S
    while not stop.is_set():
        if time.monotonic() - logged_at >= LOG_EVERY_S:
            logged_at = time.monotonic()
            structlog.get_logger(stage).error("stage halted: too many dead letters", error=str(error))
        beat()
        await pause(stop, BEAT_S)
