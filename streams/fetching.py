"""Faust's transport without the pauses that its consumer makes while a topic has a backlog.

Faust stops requesting the records of a partition while its buffer is nearly full. It notices only after up to 1 s that
the buffer has room again, and the agent waits meanwhile. Here a full buffer delays the next request by itself, because
the task that fills it waits, and one agent reads one topic.

aiokafka has one request open for each broker. When records of one partition wait for 0.1 s to be consumed, it requests
the other partitions alone. If these are empty, the request stays open for up to 1.5 s, and the first partition is not
requested again meanwhile, although it has a backlog. Here the records may wait longer before the others are requested.

A broker answers as soon as it has one record. While records come all the time, that is hundreds of small answers a
second, and each costs the broker and the reader the same. Here an answer with records is followed by a short pause,
unless records of another partition wait to be consumed, which is a backlog.

aiokafka reports what ends a membership of the group to a caller of its own methods for reading, which Faust does not
call. The consumer would stay without partitions for ever, and without an error. Here such a report ends the app.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from faust.transport.drivers import aiokafka
from mode import Service

WAITING_MAX_S = 5.0
"""While records of one partition wait to be consumed, but not longer, no other one of its broker is requested."""
LOOK_S = 1.0
"""Pause between two looks for what no event shows. aiokafka looks five times a second, and finds nothing: an answer, a
consumed record, a change of the assignment and the end of a pause are events."""


PACE_S = 0.05
"""From an answer with records to the next request to the same broker."""

FetchRecords = Callable[[Any, int, Any], Awaitable[bool]]
"""Requests records by the assignment, from a broker, by its id. Returns whether records came."""


def paced(request: FetchRecords, has_backlog: Callable[[], bool], pace_s: float = PACE_S) -> FetchRecords:
    """The same requests, with a pause after each that brought records, unless there is a backlog.

    A request that is cancelled in its pause brings none, as in aiokafka.
    """
    next_at: dict[int, float] = {}

    async def after_pause(assignment: Any, broker: int, content: Any) -> bool:
        left_s = next_at.get(broker, 0.0) - time.monotonic()
        if left_s > 0 and not has_backlog():
            try:
                await asyncio.sleep(left_s)
            except asyncio.CancelledError:
                return False
        found = await request(assignment, broker, content)
        if found:
            next_at[broker] = time.monotonic() + pace_s
        return found

    return after_pause


class _Thread(aiokafka.AIOKafkaConsumerThread):
    """The thread of the consumer. Neither Faust nor aiokafka has an option for these four."""

    async def on_start(self) -> None:
        await super().on_start()
        fetcher: Any = self._ensure_consumer()._fetcher  # noqa: SLF001 - the docstring of the class
        fetcher._prefetch_backoff = WAITING_MAX_S  # noqa: SLF001 - as above
        fetcher._fetcher_timeout = LOOK_S  # noqa: SLF001 - as above
        fetcher._proc_fetch_request = paced(  # noqa: SLF001 - as above
            fetcher._proc_fetch_request,  # noqa: SLF001 - as above
            lambda: bool(fetcher._records),  # noqa: SLF001 - records that have come and are not consumed
        )

    @Service.task
    async def _end_without_membership(self) -> None:
        """Raise what ended the coordination of the group. The exception of a task of Faust ends the app."""
        coordinator: Any = self._ensure_consumer()._coordinator  # noqa: SLF001 - the docstring of the class
        while not self.should_stop:
            coordinator.check_errors()
            await self.sleep(LOOK_S)


class _Consumer(aiokafka.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: Any) -> None:
        """Go on requesting records of the partition."""


class EagerTransport(aiokafka.Transport):
    """The transport of an app with one agent that reads one topic."""

    Consumer = _Consumer
