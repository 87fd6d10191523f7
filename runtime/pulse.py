"""Ends a process that lives but no longer works, so that the supervisor starts a fresh one.

`Watchdog` watches a consumer: lag, no movement, and dependencies that answer. `Pulse` watches a loop that should come
round, and `watched_loop` gives an event loop that has none a round of its own. All are threads, because what they watch
may be the event loop. A dependency that is away is no stall: it resets
the clocks. So is a machine that slept, or a process that was frozen: only time in which the watcher itself ran counts.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from runtime.process import EXIT_TRANSIENT
from runtime.settings import Settings

LOOKS_PER_LIMIT = 6

IsReachable = Callable[[], bool]
"""Whether what the process depends on, beside Kafka, answers a fresh connection. May block for some seconds."""


def always() -> bool:
    """For a process that needs Kafka alone."""
    return True


class Heartbeats:
    """Progress that no offset shows: a sender's answers, retries, refusals. One beat resets every clock."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        """Say that something moved."""
        self.last = time.monotonic()


class Pulse:
    """Watches a loop that beats at each round, and ends the process with 75 when it stands while all answers."""

    def __init__(
        self,
        settings: Settings,
        stage: str,
        beats: Heartbeats,
        answers: IsReachable,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._limit_s = settings.stall_limit_s
        self._stage = stage
        self._beats = beats
        self._answers = answers
        self._end = end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching. Does not wait."""
        self._stopping.set()

    def _watch(self) -> None:
        interval_s = self._limit_s / LOOKS_PER_LIMIT
        seen, looks = self._beats.last, 0
        while not self._stopping.wait(interval_s):
            looks = looks + 1 if self._beats.last == seen else 0
            seen = self._beats.last
            if looks < LOOKS_PER_LIMIT:
                continue
            if not self._answers():
                looks = 0
            elif not self._stopping.is_set():
                log_stall(self._stage, "stalled: no round", looks * interval_s)
                self._end(EXIT_TRANSIENT)


@asynccontextmanager
async def watched_loop(settings: Settings, stage: str, end: Callable[[int], object] = os._exit) -> AsyncIterator[None]:
    """While the body runs, an event loop that stands still ends the process with 75: it would answer nobody.

    No dependency is asked: waiting for one never holds a loop.
    """
    beats = Heartbeats()
    pulse = Pulse(settings, stage, beats, always, end)
    beating = asyncio.create_task(_beat(beats, settings.stall_limit_s / LOOKS_PER_LIMIT / 2))
    pulse.start()
    try:
        yield
    finally:
        pulse.stop()
        beating.cancel()


async def _beat(beats: Heartbeats, every_s: float) -> None:
    while True:
        beats.beat()
        await asyncio.sleep(every_s)


def log_stall(stage: str, said: str, stalled_s: float) -> None:
    """Log that a stage is stalled, and for how long."""
    structlog.get_logger("watchdog").error(said, stage=stage, stalled_s=round(stalled_s, 1))
