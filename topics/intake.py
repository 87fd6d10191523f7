"""Reads records from Kafka at offsets that are stored in Postgres.

The consumer group only assigns partitions. The position of a partition is stored in Postgres, in the transaction that
holds the effect of its records (`tables.offsets`), so effect and position cannot disagree after a crash. At every
assignment the positions are read from Postgres, and reading starts there. Kafka's own offsets are also committed, for
lag tools and the watchdog, and are never read here.

All calls of the consumer run in one thread, because they block. A rebalance calls back in that thread and waits for the
event loop to read the positions. Records of a partition that was revoked while they were read are dropped, and its
new owner reads them again. The reader may read the next batch while it stores the one before: a partition is given away
only after that one is stored.
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
from runtime.slices import in_slices, never
from schemas.places import OffsetMismatch, Place, Record, Watermarks, require_kept
from topics.clients import consumer_config
from topics.errors import error_of, is_not_ready
from topics.records import record_of

RECORDS_MAX = 5000
"""Most records of a batch, unless the reader has another limit."""
BYTES_MAX = 16 * 1024 * 1024
"""No more is read for a batch that has this size, so that large records make smaller batches."""
READ_TOGETHER = 2500
"""Records between two looks at the size of a batch."""
CONVERTED_TOGETHER = 100
"""The event loop makes so many records at once: it also serves the reader's connection."""
FETCHED_TOGETHER = 256 * 1024
"""Compressed bytes of a partition in one answer of the broker. librdkafka adds whole answers to those of
`queued.max.messages.kbytes`, and ours are seven times as large when they are decompressed: with 4 MiB of each of 8
partitions a sink kept 200 MiB of them. The broker also sends a record that is larger."""
IDLE_WAIT_S = 1.0
"""A record ends the wait at once. A stop is noticed after it."""
FETCH_WAIT_MS = 1_500
"""How long the broker keeps a fetch without records open; a record ends it at once. The default of 500 costs an idle
broker three times the requests. A reader of Faust waits as long."""
GATHER_S = 0.02
"""How long a batch waits for more records after its first one."""
GATHER_BUSY_S = 0.2
"""The same while many records come. A batch costs the broker several fetches, and Postgres a transaction, so fewer and
larger batches cost less; nobody sees a fifth of a second in a stream of changes."""
BUSY_RECORDS = 20
"""After a batch of so many records the next one waits for longer."""
NOT_OURS = 1 << 63
"""Above each offset: where to start in a partition that is not ours."""
COMMIT_EVERY_S = 1.0
COMMIT_AGAIN_S, COMMIT_AGAIN_MAX_S = 5.0, 60.0
"""Commits are repeated, because one may be lost in a rebalance, and an idle partition would then show a lag forever.
The pause doubles while no position moves."""
WATERMARK_TIMEOUT_S = 10.0
WATERMARK_PAUSE_S = 0.2
CLOSE_TIMEOUT_S = 15.0
LEAVE_TIMEOUT_S = 5.0
LEAVE_POLL_S = 0.1

BeforeRevoking = Callable[[], Awaitable[None]]
"""Called before partitions are given away: waits until what was taken of them is stored."""
PositionsOf = Callable[[Watermarks], Awaitable[Mapping[int, int]]]
"""Called at an assignment: maps the watermarks of the new partitions to the offsets at which to start."""

T = TypeVar("T")


log = structlog.get_logger(__name__)


def gather_s(records: int) -> float:
    """How long a batch waits for more records after its first one, by the number of records of the batch before."""
    return GATHER_BUSY_S if records >= BUSY_RECORDS else GATHER_S


class RecordIntake:
    """A consumer of one topic. `positions` holds the next offset of each partition that is ours."""

    def __init__(
        self,
        settings: Settings,
        group: str,
        topic: str,
        positions_of: PositionsOf,
        settled: BeforeRevoking | None = None,
        records_max: int = RECORDS_MAX,
        is_awaited: Callable[[], bool] = never,
    ) -> None:
        self.positions: dict[int, int] = {}
        self.awaited: frozenset[int] = frozenset()
        """Assigned partitions whose offsets have not been read from Postgres yet."""
        self._topic = topic
        self._positions_of = positions_of
        self._settled = settled
        self._records_max = records_max
        self._gather_s = GATHER_S
        self._is_awaited = is_awaited
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "kafka-consumer")
        self._failure: BaseException | None = None
        self._committed_at = 0.0
        self._again_s = COMMIT_AGAIN_S
        self._uncommitted: set[int] = set()
        # An offset that the topic does not have is an error. The consumer must never skip to another one.
        self._consumer = Consumer(
            consumer_config(
                settings,
                group,
                auto_offset_reset="error",
                fetch_wait_max_ms=FETCH_WAIT_MS,
                fetch_message_max_bytes=FETCHED_TOGETHER,
            )
        )

    async def open(self) -> None:
        """Join the group."""
        await self._call(self._subscribe)

    async def take(self) -> list[Record]:
        """The next records of our partitions, in order per partition; an empty list after a while without records.

        Raises OffsetMismatch if the topic does not have an offset, Transient if the consumer has failed.
        """
        records: list[Record] = []
        async for some in in_slices(await self._call(self._poll), CONVERTED_TOGETHER, self._is_awaited):
            made = [record_of(self._topic, message) for message in some]
            starts = self.positions  # of the partitions that are still assigned
            records += [record for record in made if record.offset >= starts.get(record.partition, NOT_OURS)]
        return records

    def advance(self, offsets: Mapping[int, int]) -> None:
        """Set the next offsets, after the effect of the records before them is durable."""
        for partition, offset in offsets.items():
            if partition in self.positions:
                self.positions[partition] = offset
                self._uncommitted.add(partition)

    async def close(self) -> None:
        """Commit the positions and leave the group."""
        try:
            await asyncio.wait_for(self._call(self._leave), CLOSE_TIMEOUT_S)
        except TimeoutError:
            log.warning("Kafka did not confirm that the consumer left the group", timeout_s=CLOSE_TIMEOUT_S)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, function)

    # The methods below run in the thread of the consumer.

    def _subscribe(self) -> None:
        self._consumer.subscribe(
            [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked
        )

    def _poll(self) -> list[Message]:
        """The messages of a batch, without errors. The event loop makes records of them."""
        self._commit()
        found: list[Message] = []
        self._gather(found)
        if self._failure is not None:  # these partitions have no position, so further errors would follow
            raise self._failure
        failed = [(message, error) for message in found if (error := message.error()) is not None]
        for message, error in failed:
            self._require_usable(message, error)
        return [message for message in found if message.error() is None] if failed else found

    def _gather(self, found: list[Message]) -> None:
        """Read for a short time after the first record, or until the batch is full."""
        first = self._consumer.poll(IDLE_WAIT_S)
        if first is not None:
            found.append(first)
            self._gather_more(found)
        self._gather_s = gather_s(len(found))

    def _gather_more(self, found: list[Message]) -> None:
        size, deadline = 0, time.monotonic() + self._gather_s
        while len(found) < self._records_max and size < BYTES_MAX:
            left_s = max(0.0, deadline - time.monotonic())
            wanted = min(READ_TOGETHER, self._records_max - len(found))
            more = self._consumer.consume(wanted, left_s)
            found += more
            if len(more) < wanted:
                return
            size += sum(len(message) for message in more)

    def _require_usable(self, message: Message, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 - librdkafka's name for it
            where = f"{message.topic()}/{message.partition()}"
            raise OffsetMismatch(
                f"{where}: {error.str()}. Records were lost, or the topic was recreated. Restart this process."
            )
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001 - this event is not marked as fatal
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
        self._again_s = COMMIT_AGAIN_S
        self.awaited = frozenset()
        consumer.incremental_assign([TopicPartition(self._topic, p, offset) for p, offset in answer.items()])
        log.info("partitions assigned", offsets=dict(sorted(answer.items())))

    def _starts(self, consumer: Any, partitions: list[TopicPartition]) -> Mapping[int, int]:
        """The offsets at which to start. Raises OffsetMismatch if the topic does not have one of them.

        A partition without a stored offset starts at the low watermark, so the watermarks are read first. While another
        sink still applies a partition, its stored offset may by then be beyond this high watermark. Such a partition's
        watermarks are read again, after the offset.
        """
        available = {p.partition: self._watermarks(consumer, p) for p in partitions}
        starts = asyncio.run_coroutine_threadsafe(_of(self._positions_of(available)), self._loop).result()
        for partition, offset in starts.items():
            watermarks = available[partition]
            if offset > watermarks[1]:
                watermarks = self._watermarks(consumer, TopicPartition(self._topic, partition))
            require_kept(Place(self._topic, partition, offset), watermarks)
        return starts

    def _revoked(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        """Give partitions away, after the batch that is being stored: their new owner reads the offsets then."""
        if self._settled is not None:
            asyncio.run_coroutine_threadsafe(_of(self._settled()), self._loop).result()
        for revoked in partitions:
            self.positions.pop(revoked.partition, None)
            self._uncommitted.discard(revoked.partition)
            metrics.forget_lag(self._topic, revoked.partition)
        log.info("partitions revoked", partitions=sorted(p.partition for p in partitions))

    def _watermarks(self, consumer: Any, partition: TopicPartition) -> tuple[int, int]:
        """The low and the high watermark. Raises KafkaException if no leader answers in time."""
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
        is_due_again = now - self._committed_at >= self._again_s
        if not self.positions or not (wait or is_due or is_due_again):
            return
        self._again_s = COMMIT_AGAIN_S if is_due else min(2 * self._again_s, COMMIT_AGAIN_MAX_S)
        self._uncommitted.clear()  # before the positions are read: the loop may advance one meanwhile
        moved = dict(self.positions)
        self._committed_at = now
        try:
            places = [TopicPartition(self._topic, p, offset) for p, offset in moved.items()]
            if wait:
                self._consumer.commit(offsets=places, asynchronous=False)
            else:
                self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException as error:  # for lag tools only
            log.info("offsets were not committed to Kafka; lag tools may show an old position", error=str(error))
        for partition, offset in moved.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), cached=True)
            metrics.set_lag(self._topic, partition, max(0, high - offset), 1.0)

    def _leave(self) -> None:
        """Commit, then leave the group, so that the others get the partitions at once.

        librdkafka lets a member with a stable name leave only by `unsubscribe`, and not by `close`. The request goes
        out after the partitions are revoked, which `poll` does. After a fatal error there is nothing to leave: a broker
        that restarted has given the name to another member.
        """
        self._commit(wait=True)
        try:
            self._consumer.unsubscribe()
        except KafkaException as error:
            if error_of(error).code() != KafkaError._FATAL:  # noqa: SLF001 - librdkafka's name for it
                raise
            self.positions.clear()
        deadline = time.monotonic() + LEAVE_TIMEOUT_S
        while self.positions and time.monotonic() < deadline:
            self._consumer.poll(LEAVE_POLL_S)
        self._consumer.close()


async def _of(awaited: Awaitable[T]) -> T:
    return await awaited
