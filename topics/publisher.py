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
_IDLE_S = 1.0
"""Pause between two looks for other news than reports, such as an error, while no record is on its way. librdkafka's
client looks for signals five times a second while it waits for reports."""
_NOWHERE = (-1, -1)

Delivered = Callable[[KafkaError | None, Message | Outgoing | None], None]
"""Takes librdkafka's report about one record, or the record itself if the client refuses it."""


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

    async def publish_all(self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S) -> None:
        """Like `publish_batch`, and faster, for callers that do not need the places. PublishFailed has none either."""
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
        self._handed_over = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-publisher", daemon=True)
        self._poller.start()

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        """Publish all records and return their (partition, offset). See `Publisher`."""
        if not records:
            return []
        batch = _PlacedBatch(self._loop, len(records))
        deadline = time.monotonic() + timeout_s
        for index, record in enumerate(records):
            delivered = batch.delivery(index)
            if not self._produce(record, delivered):
                await self._produce_later(record, delivered, deadline)
        await self._settled(batch, deadline, timeout_s)
        return batch.result()

    async def publish_all(self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S) -> None:
        """Publish all records. See `Publisher`."""
        if not records:
            return
        batch = _CountedBatch(self._loop, records)
        deadline = time.monotonic() + timeout_s
        delivered, produce = batch.delivered, self._produce
        for record in records:
            if not produce(record, delivered):
                await self._produce_later(record, delivered, deadline)
        await self._settled(batch, deadline, timeout_s)
        batch.result()

    async def _settled(self, batch: _Batch, deadline: float, timeout_s: float) -> None:
        """Wait for all reports. Raises PublishFailed at the deadline."""
        # One timer: `asyncio.wait_for` would cost as much as the rest of a small batch.
        timer = self._loop.call_later(deadline - time.monotonic(), batch.expire)
        try:
            await batch.done
        finally:
            timer.cancel()
        if batch.is_expired:
            reason = f"{batch.size} records: no acknowledgement within {timeout_s:.0f} s"
            raise PublishFailed(reason, batch.acknowledged())

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
            delivered(error_of(error), record)
        if not self._handed_over.is_set():
            self._handed_over.set()
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
        self._handed_over.set()
        await asyncio.to_thread(self._poller.join, 5.0)
        return left

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.fatal.set)

    def _poll(self) -> None:
        while not self._closing.is_set():
            if len(self._producer) == 0:
                self._handed_over.clear()
                if len(self._producer) == 0:  # a record that was handed over before is on its way now
                    self._handed_over.wait(_IDLE_S)
            self._producer.poll(_POLL_S if len(self._producer) else 0)


class _Batch:
    """One future for many records. The last delivery report completes it from the poll thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self.is_expired = False
        self.size = size
        self._loop = loop
        self._left = size
        self._lock = threading.Lock()
        """librdkafka's thread reports, and ours when a produce is refused."""
        self._error: KafkaError | None = None

    def expire(self) -> None:
        """Stop waiting for the records that are not acknowledged."""
        if not self.done.done():
            self.is_expired = True
            self.done.set_result(None)

    def acknowledged(self) -> dict[int, tuple[int, int]]:
        """The places that are known, by the index in the batch."""
        return {}

    def _complete_soon(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._complete)

    def _complete(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def _raise(self, too_large: list[int]) -> None:
        if self._error is not None:
            raise PublishFailed(f"{self._error.name()}: {self._error.str()}", self.acknowledged())
        if too_large:
            raise RecordTooLarge(too_large)


class _PlacedBatch(_Batch):
    """A batch that keeps the place of each record."""

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        super().__init__(loop, size)
        self._places: list[tuple[int, int]] = [_NOWHERE] * size
        self._too_large: list[int] = []

    def delivery(self, index: int) -> Delivered:
        """The function that takes the report about one record."""
        return partial(self._delivered, index)

    def _delivered(self, index: int, error: KafkaError | None, message: Message | Outgoing | None) -> None:
        with self._lock:
            if error is None and message is not None and not isinstance(message, Outgoing):
                self._places[index] = (message.partition() or 0, message.offset() or 0)
            elif error is not None and is_too_large(error):
                self._too_large.append(index)
            else:
                self._error = error
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._complete_soon()

    def acknowledged(self) -> dict[int, tuple[int, int]]:
        with self._lock:
            return {index: place for index, place in enumerate(self._places) if place != _NOWHERE}

    def result(self) -> list[tuple[int, int]]:
        self._raise(sorted(self._too_large))
        return self._places


class _CountedBatch(_Batch):
    """A batch whose reports are only counted. One function takes all of them, which saves 1 µs a record."""

    def __init__(self, loop: asyncio.AbstractEventLoop, records: Sequence[Outgoing]) -> None:
        super().__init__(loop, len(records))
        self._records = records
        self._too_large: set[tuple[bytes | None, bytes | None]] = set()
        """The keys and values of refused records. A report does not tell which record of the batch it is about."""

    def delivered(self, error: KafkaError | None, message: Message | Outgoing | None) -> None:
        """Take the report about a record of this batch."""
        with self._lock:
            if error is not None:
                self._note(error, message)
            self._left -= 1
            is_last = self._left == 0
        if is_last:
            self._complete_soon()

    def _note(self, error: KafkaError, message: Message | Outgoing | None) -> None:
        if message is None or not is_too_large(error):
            self._error = error
        elif isinstance(message, Outgoing):
            self._too_large.add((message.key, message.value))
        else:
            self._too_large.add((message.key(), message.value()))

    def result(self) -> None:
        refused = self._too_large
        self._raise(
            [at for at, (_, key, value, _) in enumerate(self._records) if (key, value) in refused] if refused else []
        )
