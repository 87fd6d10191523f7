"""Faust's transport without the pauses that its consumer makes while a topic has a backlog.

Faust stops requesting the records of a partition while its buffer is nearly full. It notices only after up to 1 s that
the buffer has room again, and the agent waits meanwhile. Here a full buffer delays the next request by itself, because
the task that fills it waits, and one agent reads one topic.

aiokafka has one request open for each broker. When records of one partition wait for 0.1 s to be consumed, it requests
the other partitions alone. If these are empty, the request stays open for up to 1.5 s, and the first partition is not
requested again meanwhile, although it has a backlog. Here the records may wait longer before the others are requested.
"""

from __future__ import annotations

from typing import Any

from faust.transport.drivers import aiokafka

WAITING_MAX_S = 5.0
"""While records of one partition wait to be consumed, but not longer, no other one of its broker is requested."""
LOOK_S = 1.0
"""Pause between two looks for what no event shows. aiokafka looks five times a second, and finds nothing: an answer, a
consumed record, a change of the assignment and the end of a pause are events."""


class _Thread(aiokafka.AIOKafkaConsumerThread):
    """The thread of the consumer. Neither Faust nor aiokafka has an option for these two."""

    async def on_start(self) -> None:
        await super().on_start()
        fetcher: Any = self._ensure_consumer()._fetcher  # noqa: SLF001 - the docstring of the class
        fetcher._prefetch_backoff = WAITING_MAX_S  # noqa: SLF001 - as above
        fetcher._fetcher_timeout = LOOK_S  # noqa: SLF001 - as above


class _Consumer(aiokafka.Consumer):
    def _new_consumer_thread(self) -> _Thread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: Any) -> None:
        """Go on requesting records of the partition."""


class EagerTransport(aiokafka.Transport):
    """The transport of an app with one agent that reads one topic."""

    Consumer = _Consumer
