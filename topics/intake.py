"""Records from Kafka, at the offsets that Postgres holds: the group only says which partitions are ours.

Kafka's own offsets are written for lag tools and never read. All calls of the consumer run in one thread, because
they block; what it reports of a rebalance is answered from the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from runtime import metrics
from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import OffsetBeyondEnd, OffsetMismatch, Record, Watermarks
from topics.clients import consumer_config
from topics.errors import is_not_ready

RECORDS_MAX = 5000
"""A batch; beyond it the merge gains little and a lock is held longer."""
IDLE_WAIT_S = 0.5
GATHER_S = 0.02
"""How long a batch waits for more records after its first."""
COMMIT_EVERY_S = 1.0
COMMIT_AGAIN_S = 5.0
"""A commit may be lost in a rebalance, and a partition may come with an offset that Kafka was never told: without new
records it would show a lag for ever."""
WATERMARK_TIMEOUT_S = 10.0
WATERMARK_PAUSE_S = 0.2
CLOSE_TIMEOUT_S = 15.0

PositionsOf = Callable[[Watermarks], Awaitable[Mapping[int, int]]]
"""Asked at an assignment: watermarks of the new partitions to the offsets to start from."""

T = TypeVar("T")


log = structlog.get_logger(__name__)


class RecordIntake:
    """A consumer of one topic. `positions` holds the next offset of each partition that is ours."""

    def __init__(self, settings: Settings, group: str, topic: str, positions_of: PositionsOf) -> None:
        self.positions: dict[int, int] = {}
        self.awaited: frozenset[int] = frozenset()
        """Partitions assigned to us whose offsets Postgres has not said yet."""
        self._topic = topic
        self._positions_of = positions_of
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "kafka-consumer")
        self._failure: BaseException | None = None
        self._committed_at = 0.0
        self._uncommitted: set[int] = set()
        # An offset that the topic does not have is an error to be shown, never a reason to jump.
        self._consumer = Consumer(consumer_config(settings, group, auto_offset_reset="error"))

    async def open(self) -> None:
        """Join the group."""
        await self._call(self._subscribe)

    async def take(self) -> list[Record]:
        """The next records of our partitions, in order per partition; none after a while without any.

        Raises Misplaced where an offset is not in the topic, Transient where the consumer can go no further.
        """
        records = await self._call(self._poll)
        return [record for record in records if self._is_ours(record)]

    def _is_ours(self, record: Record) -> bool:
        """Not of a partition revoked while it was read, and not below what is stored."""
        position = self.positions.get(record.partition)
        return position is not None and record.offset >= position

    def advance(self, offsets: Mapping[int, int]) -> None:
        """These are the next offsets now: their effect is durable."""
        for partition, offset in offsets.items():
            if partition in self.positions:
                self.positions[partition] = offset
                self._uncommitted.add(partition)

    async def close(self) -> None:
        """Tell Kafka where we stand, and leave the group."""
        try:
            await asyncio.wait_for(self._call(self._leave), CLOSE_TIMEOUT_S)
        except TimeoutError:
            log.warning("left the group without an answer", timeout_s=CLOSE_TIMEOUT_S)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, function)

    # What follows runs in the consumer's thread.

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def _poll(self) -> list[Record]:
        self._commit()
        first = self._consumer.poll(IDLE_WAIT_S)
        found = [] if first is None else [first, *self._consumer.consume(RECORDS_MAX - 1, GATHER_S)]
        if self._failure is not None:  # then these partitions have no offsets of ours, and errors of that follow
            raise self._failure
        for message in found:
            if (error := message.error()) is not None:
                self._look_at(message, error)
        return [
            Record(self._topic, message.partition() or 0, message.offset() or 0, message.key(), message.value())
            for message in found
            if message.error() is None
        ]

    def _look_at(self, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - librdkafka's name for it
            where = f"{message.topic()}/{message.partition()}"
            raise OffsetMismatch(f"{where}: {error.str()}. Records were lost, or the topic was made anew; start again.")
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - as an event it is not marked as fatal
            raise Transient(f"Kafka consumer: {error.str()}")
        log.warning("Kafka consumer", error=error.str())

    def _assigned(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        self.awaited = frozenset(p.partition for p in partitions)
        try:
            answer = self._starts(consumer, partitions)
        except Exception as error:  # noqa: BLE001 - raised by `take`; here librdkafka would swallow it
            self._failure = Transient(f"watermarks: {error}") if isinstance(error, KafkaException) else error
            return
        self.positions.update(answer)
        self.awaited = frozenset()
        consumer.incremental_assign([TopicPartition(self._topic, p, offset) for p, offset in answer.items()])
        log.info("partitions assigned", offsets=dict(sorted(answer.items())))

    def _starts(self, consumer: Any, partitions: list[TopicPartition]) -> Mapping[int, int]:
        """Where to start. An offset counts as beyond the end only against an end that was asked for after it."""
        while True:
            asked = {p.partition: self._watermarks(consumer, p) for p in partitions}
            try:
                return asyncio.run_coroutine_threadsafe(_of(self._positions_of(asked)), self._loop).result()
            except OffsetBeyondEnd as error:
                _, high = self._watermarks(consumer, TopicPartition(self._topic, error.partition))
                if error.offset > high:
                    raise

    def _revoked(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        for revoked in partitions:
            self.positions.pop(revoked.partition, None)
            self._uncommitted.discard(revoked.partition)
        log.info("partitions revoked", partitions=sorted(p.partition for p in partitions))

    def _watermarks(self, consumer: Any, partition: TopicPartition) -> tuple[int, int]:
        """Low and high. Raises KafkaException where no leader says them in time."""
        deadline = time.monotonic() + WATERMARK_TIMEOUT_S
        while True:
            try:
                low, high = consumer.get_watermark_offsets(partition, timeout=WATERMARK_TIMEOUT_S)
            except KafkaException as error:
                if not is_not_ready(error) or time.monotonic() > deadline:
                    raise
                time.sleep(WATERMARK_PAUSE_S)
            else:
                return low, high

    def _commit(self, *, wait: bool = False) -> None:
        now = time.monotonic()
        is_due = self._uncommitted and now - self._committed_at >= COMMIT_EVERY_S
        is_due_again = now - self._committed_at >= COMMIT_AGAIN_S
        moved = dict(self.positions)
        if not moved or not (wait or is_due or is_due_again):
            return
        self._uncommitted.clear()
        self._committed_at = now
        try:
            places = [TopicPartition(self._topic, p, offset) for p, offset in moved.items()]
            if wait:
                self._consumer.commit(offsets=places, asynchronous=False)
            else:
                self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:  # for lag tools only
            log.info("offsets not told to Kafka", error=str(error))
        for partition, offset in moved.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            metrics.LAG_RECORDS.labels(self._topic, str(partition)).set(max(0, high - offset))

    def _leave(self) -> None:
        self._commit(wait=True)
        self._consumer.close()


async def _of(positions: Awaitable[Mapping[int, int]]) -> Mapping[int, int]:
    return await positions
