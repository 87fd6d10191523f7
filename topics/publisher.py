"""Publishes batches of records: a batch returns when every record of it is acknowledged with acks=all.

Everything is published through `AsyncPublisher`: one producer, one poll thread, one future per batch.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Outgoing
from topics.clients import producer_config
from topics.errors import error_of, is_too_large

PUBLISH_TIMEOUT_S = 90.0
"""Above the message timeout, so that librdkafka has reported every record by then."""

QUEUE_FULL_PAUSE_S = 0.005
_POLL_S = 0.25
"""A report ends the wait at once. The limit bounds how long a close takes."""
_NOWHERE = (-1, -1)

Delivered = Callable[[KafkaError | None, Message | None], None]
"""Takes librdkafka's report about one record."""


class PublishFailed(Transient):
    """At least one record was not acknowledged. It may have arrived all the same: publish the batch again.

    `acknowledged` holds the (partition, offset) of the records that were acknowledged, by their index in the batch.
    """

    def __init__(self, reason: str, acknowledged: Mapping[int, tuple[int, int]] | None = None) -> None:
        super().__init__(reason)
        self.acknowledged = dict(acknowledged or {})


class RecordTooLarge(ValueError):
    """Some records are larger than the client or the topic allows. `indices` locate them in the batch.

    The other records of the batch are published.
    """

    def __init__(self, indices: list[int]) -> None:
        super().__init__(f"{len(indices)} records are larger than the topic allows")
        self.indices = indices


class Publisher(Protocol):
    """What a stage needs of Kafka. `AsyncPublisher` is the real one, `topics.memory.MemoryPublisher` keeps records."""

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        """Publish all records and return the (partition, offset) of each. It returns when all are acknowledged.

        Raises PublishFailed when any was not acknowledged in time. Raises RecordTooLarge when some never can be; then
        the others are published.
        """
        ...

    async def is_reachable(self, topic: str, timeout_s: float = 2.0) -> bool:
        """Whether a broker answers and knows the topic."""
        ...

    async def flush(self, timeout_s: float = 30.0) -> int:
        """Wait for records on their way. Returns how many are not acknowledged."""
        ...

    async def close(self, timeout_s: float = 30.0) -> int:
        """Flush and end. Returns how many records are not acknowledged."""
        ...


class AsyncPublisher:
    """Publishes batches; a batch returns when every record of it is acknowledged by all in-sync replicas.

    Create it inside the running loop. `changed`: librdkafka settings with _ for a dot.
    """

    def __init__(self, settings: Settings, **changed: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self.fatal = asyncio.Event()
        """Set when this producer can never publish again: the process must end, because a new producer can."""
        config = producer_config(settings, **changed)
        self._producer = Producer({**config, "error_cb": self._on_error})
        self._closing = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-publisher", daemon=True)
        self._poller.start()

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        """Publish all records and return their (partition, offset). See `Publisher`."""
        if not records:
            return []
        deadline = time.monotonic() + timeout_s
        batch = _Batch(self._loop, len(records))
        for index, record in enumerate(records):
            delivered = batch.delivery(index)
            if not self._produce(record, delivered):
                await self._produce_later(record, delivered, deadline)
        # One timer: `asyncio.wait_for` would cost as much as the rest of a small batch.
        timer = self._loop.call_later(deadline - time.monotonic(), batch.expire)
        try:
            await batch.done
        finally:
            timer.cancel()
        if batch.is_expired:
            reason = f"{len(records)} records: no acknowledgement within {timeout_s:.0f} s"
            raise PublishFailed(reason, batch.acknowledged())
        return batch.result()

    def _produce(self, record: Outgoing, delivered: Delivered) -> bool:
        """Hand a record to librdkafka. Returns whether its queue had room. A refused record is reported at once."""
        topic, key, value, headers = record
        try:
            if headers:
                self._producer.produce(topic, value=value, key=key, headers=list(headers), on_delivery=delivered)
            else:
                self._producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            return False
        except KafkaException as error:
            delivered(error_of(error), None)
        return True

    async def _produce_later(self, record: Outgoing, delivered: Delivered, deadline: float) -> None:
        """Hand a record over when the queue has room again. Raises PublishFailed if it has none in time."""
        while not self._produce(record, delivered):
            if time.monotonic() > deadline:
                raise PublishFailed("the queue of the producer stays full")
            await asyncio.sleep(QUEUE_FULL_PAUSE_S)  # the poll thread empties it

    async def is_reachable(self, topic: str, timeout_s: float = 2.0) -> bool:
        """Whether a broker answers and knows the topic."""
        try:
            listed = await asyncio.to_thread(self._producer.list_topics, topic, timeout_s)
        except KafkaException:
            return False
        found = listed.topics.get(topic)
        return found is not None and found.error is None

    async def flush(self, timeout_s: float = 30.0) -> int:
        """Wait for records on their way. Returns how many are not acknowledged."""
        return int(await asyncio.to_thread(self._producer.flush, timeout_s))

    async def close(self, timeout_s: float = 30.0) -> int:
        """Flush and end the poll thread. Returns how many records are not acknowledged."""
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
    """One future for many records. The last delivery report completes it from the poll thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self.is_expired = False
        self._loop = loop
        self._left = size
        self._lock = threading.Lock()
        self._places: list[tuple[int, int]] = [_NOWHERE] * size
        self._too_large: list[int] = []
        self._error: KafkaError | None = None

    def delivery(self, index: int) -> Delivered:
        """The function that takes the report about one record."""
        return partial(self._delivered, index)

    def _delivered(self, index: int, error: KafkaError | None, message: Message | None) -> None:
        with self._lock:  # librdkafka's thread reports, and ours when a produce is refused
            if error is None and message is not None:
                self._places[index] = (message.partition() or 0, message.offset() or 0)
            elif error is not None and is_too_large(error):
                self._too_large.append(index)
            else:
                self._error = error
            self._left -= 1
            last = self._left == 0
        if last and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._complete)

    def expire(self) -> None:
        """Stop waiting for the records that are not acknowledged."""
        if not self.done.done():
            self.is_expired = True
            self.done.set_result(None)

    def _complete(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def acknowledged(self) -> dict[int, tuple[int, int]]:
        with self._lock:
            return {index: place for index, place in enumerate(self._places) if place != _NOWHERE}

    def result(self) -> list[tuple[int, int]]:
        if self._error is not None:
            raise PublishFailed(f"{self._error.name()}: {self._error.str()}", self.acknowledged())
        if self._too_large:
            raise RecordTooLarge(sorted(self._too_large))
        return self._places
