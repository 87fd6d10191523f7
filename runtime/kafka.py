"""Kafka clients with the settings that were measured, and the publisher whose `await` means acks=all.

Everything is published through `AsyncPublisher`: one producer, one poll thread, one future per batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.process import Transient
from runtime.settings import Settings

RECORD_BYTES_MAX = 4 * 1024 * 1024 + 64 * 1024
"""A record of 4 MiB and its framing: topics allow 4 MiB, clients a little more, so that the broker decides."""

MESSAGE_TIMEOUT_MS = 60_000
PUBLISH_TIMEOUT_S = 90.0
"""Above the message timeout: by then librdkafka has answered every record."""

ANSWER_TIMEOUT_S = 5.0
QUEUE_FULL_PAUSE_S = 0.005
_POLL_S = 0.1

_SIZE_ERRORS = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.RECORD_LIST_TOO_LARGE})

Headers = Sequence[tuple[str, bytes]]
Record = tuple[str, bytes | None, bytes | None, Headers | None]
"""(topic, key, value, headers), the topic by its real name."""


class PublishFailed(Transient):
    """At least one record of the batch was not acknowledged. It may be there all the same: publish the batch again."""


class RecordTooLarge(ValueError):
    """Records that no repetition will make fit; `indices` are their places in the batch, the others are published."""

    reason = "record_too_large"

    def __init__(self, indices: list[int]) -> None:
        super().__init__(f"{len(indices)} records are larger than the topic allows")
        self.indices = indices


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client needs: where, who, and its log lines in ours."""
    return {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "client.id": settings.instance or "campaigns",
        "logger": logging.getLogger("librdkafka"),
        "log.connection.close": False,
        "reconnect.backoff.max.ms": 2_000,
        "socket.keepalive.enable": True,
        **settings.kafka_extra,
    }


def producer_config(settings: Settings, **changed: Any) -> dict[str, Any]:
    """A producer that loses nothing; `changed` by librdkafka's names with _ for a dot."""
    return {
        **client_config(settings),
        "acks": "all",
        "enable.idempotence": True,
        "linger.ms": 5,
        "compression.type": "lz4",
        "message.timeout.ms": MESSAGE_TIMEOUT_MS,
        "message.max.bytes": RECORD_BYTES_MAX,
        "queue.buffering.max.kbytes": 128 * 1024,
        "queue.buffering.max.messages": 200_000,
        **_dotted(changed),
    }


def consumer_config(settings: Settings, group: str, **changed: Any) -> dict[str, Any]:
    """A consumer in the group of that name (without prefix). Offsets move only when our code says so."""
    config = {
        **client_config(settings),
        "group.id": settings.group(group),
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 3_000,
        "max.poll.interval.ms": 300_000,
        "fetch.queue.backoff.ms": 5,  # the default, 1000, costs three quarters of the speed
        "fetch.message.max.bytes": RECORD_BYTES_MAX,
        "queued.max.messages.kbytes": 32 * 1024,
    }
    if settings.instance:
        config["group.instance.id"] = settings.instance
    return {**config, **_dotted(changed)}


def _dotted(changed: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in changed.items()}


def answering(settings: Settings, timeout_s: float = ANSWER_TIMEOUT_S) -> Callable[[], bool]:
    """A question for a watchdog: whether a broker answers a fresh connection. It blocks."""

    def answers() -> bool:
        try:
            Producer(client_config(settings)).list_topics(timeout=timeout_s)
        except KafkaException:
            return False
        return True

    return answers


class AsyncPublisher:
    """Publishes batches; a batch returns when every record of it is acknowledged by all in-sync replicas.

    Make it inside the running loop. `changed` are librdkafka settings with _ for a dot.
    """

    def __init__(self, settings: Settings, **changed: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.fatal = asyncio.Event()
        """Set when this producer will never publish again: end the process, a fresh one can."""
        config = producer_config(settings, **changed)
        self._producer = Producer({**config, "error_cb": self._on_error})
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-publisher", daemon=True)
        self._poller.start()

    async def publish_batch(
        self, records: Sequence[Record], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        """Publish all records and return their (partition, offset).

        Raises PublishFailed when any was not acknowledged in time, RecordTooLarge when some never can be.
        """
        if not records:
            return []
        deadline = time.monotonic() + timeout_s
        batch = _Batch(self._loop, len(records))
        for index, (topic, key, value, headers) in enumerate(records):
            await self._produce(topic, key, value, headers, batch.delivery(index), deadline)
        try:
            await asyncio.wait_for(batch.done, deadline - time.monotonic())
        except TimeoutError:
            raise PublishFailed(f"{len(records)} records: no acknowledgement within {timeout_s:.0f} s") from None
        return batch.result()

    async def _produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        delivered: Callable[[KafkaError | None, Message | None], None],
        deadline: float,
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    topic, value=value, key=key, headers=list(headers) if headers else None, on_delivery=delivered
                )
                return
            except BufferError:
                if time.monotonic() > deadline:
                    raise PublishFailed("the producer's queue stays full") from None
                await asyncio.sleep(QUEUE_FULL_PAUSE_S)  # the poll thread makes room
            except KafkaException as error:
                delivered(error.args[0], None)
                return

    async def is_reachable(self, topic: str, timeout_s: float = 2.0) -> bool:
        """Whether a broker answers and knows the topic."""
        try:
            listed = await asyncio.to_thread(self._producer.list_topics, topic, timeout_s)
        except KafkaException:
            return False
        found = listed.topics.get(topic)
        return found is not None and found.error is None

    async def flush(self, timeout_s: float = 30.0) -> int:
        """Wait for what is on its way; return how many records are not acknowledged."""
        return int(await asyncio.to_thread(self._producer.flush, timeout_s))

    async def close(self, timeout_s: float = 30.0) -> int:
        """Flush and end the poll thread; return how many records are not acknowledged."""
        left = await self.flush(timeout_s)
        self._closing.set()
        await asyncio.to_thread(self._poller.join, 5.0)
        return left

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.fatal.set)

    def _poll(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_POLL_S)


class _Batch:
    """One future for many records; completed from the poll thread by the last delivery report."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._left = size
        self._lock = threading.Lock()
        self._places: list[tuple[int, int]] = [(-1, -1)] * size
        self._too_large: list[int] = []
        self._error: KafkaError | None = None

    def delivery(self, index: int) -> Callable[[KafkaError | None, Message | None], None]:
        def delivered(error: KafkaError | None, message: Message | None) -> None:
            with self._lock:  # librdkafka's thread and ours (a refused produce) both report
                if error is None and message is not None:
                    self._places[index] = (message.partition() or 0, message.offset() or 0)
                elif error is not None and error.code() in _SIZE_ERRORS:
                    self._too_large.append(index)
                else:
                    self._error = error
                self._left -= 1
                last = self._left == 0
            if last and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._complete)

        return delivered

    def _complete(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def result(self) -> list[tuple[int, int]]:
        if self._error is not None:
            raise PublishFailed(f"{self._error.name()}: {self._error.str()}")
        if self._too_large:
            raise RecordTooLarge(sorted(self._too_large))
        return self._places
