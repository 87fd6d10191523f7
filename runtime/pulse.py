"""Ends a process that is stalled, so that the supervisor starts a new one.

`Pulse` watches a loop that should beat regularly; `watched_loop` adds such a loop to an event loop. `topics.watchdog`
watches a consumer. All are threads, because the event loop itself may be blocked. A dependency that is away is not a
stall and resets the clocks. Only time in which the watcher itself ran counts, so a sleeping machine or a frozen process
is not a stall either.
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

CHECKS_PER_LIMIT = 6

IsReachable = Callable[[], bool]
"""Whether the dependencies of the process, other than Kafka, accept a new connection. It may block for seconds."""


def always() -> bool:
    """For a process that depends on Kafka alone."""
    return True


class Heartbeats:
    """Reports progress that no offset shows: answers, retries and refusals of a sender. One beat resets every clock."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        """Report progress."""
        self.last = time.monotonic()


class Pulse:
    """Watches a loop that beats in each round. Without beats, while its dependencies answer, it exits with 75."""

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
        interval_s = self._limit_s / CHECKS_PER_LIMIT
        seen, checks = self._beats.last, 0
        while not self._stopping.wait(interval_s):
            checks = checks + 1 if self._beats.last == seen else 0
            seen = self._beats.last
            if checks < CHECKS_PER_LIMIT:
                continue
            if not self._answers():
                checks = 0
            elif not self._stopping.is_set():
                log_stall(self._stage, "stalled: a loop completed no round; the process ends", checks * interval_s)
                self._end(EXIT_TRANSIENT)


@asynccontextmanager
async def watched_loop(settings: Settings, stage: str, end: Callable[[int], object] = os._exit) -> AsyncIterator[None]:
    """While the body runs, a blocked event loop ends the process with 75, because it answers no request.

    Dependencies are not checked: waiting for one never blocks an event loop.
    """
    beats = Heartbeats()
    pulse = Pulse(settings, stage, beats, always, end)
    beating = asyncio.create_task(_beat(beats, settings.stall_limit_s / CHECKS_PER_LIMIT / 2))
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


def log_stall(stage: str, event: str, stalled_s: float) -> None:
    """Log that a stage is stalled, and for how long."""
    structlog.get_logger("watchdog").error(event, stage=stage, stalled_s=round(stalled_s, 1))
