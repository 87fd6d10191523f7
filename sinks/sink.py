"""The sink: writes `recipient.events` to Postgres. Any number of sink processes may run.

It takes batches from Kafka and gives them to `sinks.writer`. While Postgres or Kafka is unavailable, it retries the
same batch. It drops nothing, and it reads no further.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.health import HEALTH
from runtime.process import Transient
from runtime.pulse import Heartbeats
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.places import REMEDY, OffsetMismatch, Place, Record, TopicIdentity, Watermarks
from schemas.topics import Topic
from sinks.batch import moves_of
from sinks.letters import BatchLetters
from sinks.writer import BatchWriter
from tables import offsets
from tables.database import answering, connect, is_transient
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters, halt_until_stopped
from topics.dead_letters import DeadLetters
from topics.exits import ExitGuard, KafkaExitMarks
from topics.identity import identify
from topics.intake import RecordIntake
from topics.publisher import AsyncPublisher, PublishFailed
from topics.scan import find_ranges
from topics.watchdog import Watchdog

STAGE = "sink"
IDENTIFY_EVERY_S = 10.0
"""Pause between two checks for a recreated topic. Records that a sink reads from it in between are applied again, from
the topic's beginning, after an operator has accepted the topic."""
IDENTIFY_TIMEOUT_S = 3.0
DEAD_LETTER_TIMEOUT_S = 5.0
"""How long Kafka may take to acknowledge dead letters. No row is locked meanwhile."""

GC_THRESHOLDS = (200_000, 50, 100)
"""A batch creates many objects and no reference cycle. With Python's thresholds, collecting took half the time."""

log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Apply events until `stop`."""
    identity = await identify(settings, Topic.RECIPIENT_EVENTS)
    publisher = AsyncPublisher(settings)
    sink = Sink(settings, stop, identity, publisher)
    try:
        with _collecting_rarely():
            while not stop.is_set():
                await sink.consume()
    finally:
        await sink.close()
        await publisher.close()


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


async def accept_topic(settings: Settings) -> None:
    """Accept the topic as it is now. The sink then applies it from its beginning; repeated events change no row."""
    identity = await identify(settings, Topic.RECIPIENT_EVENTS)
    available = await find_ranges(settings, identity.topic)
    connection = await connect(settings.database_url.get_secret_value(), application_name="campaigns-sink")
    async with connection:
        await offsets.accept_topic(connection, identity, available)


class OwnedByAnother(Transient):
    """Another sink has advanced one of these partitions."""


class Sink:
    """One member of the consumer group, and its writer."""

    def __init__(
        self, settings: Settings, stop: asyncio.Event, identity: TopicIdentity, publisher: AsyncPublisher
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._identity = identity
        limit = DeadLetterLimit(settings.dead_letter_rate_max, settings.dead_letter_share_max)
        self._letters = BatchLetters(DeadLetters(publisher, STAGE, limit, timeout_s=DEAD_LETTER_TIMEOUT_S))
        self._writer = BatchWriter(settings, identity, self._letters)
        marks = KafkaExitMarks(settings, STAGE, identity.topic)
        self._guard = ExitGuard(marks, self._store_part, self._condemn)
        self._condemned: Place | None = None
        self._beats = Heartbeats()
        self._identify_at = time.monotonic() + IDENTIFY_EVERY_S

    async def consume(self) -> None:
        """Consume until `stop`, or until another sink has advanced one of our partitions."""
        intake = self._intake = RecordIntake(self._settings, STAGE, self._identity.topic, self._positions_of)
        watchdog = Watchdog(
            self._settings,
            STAGE,
            self._identity.topic,
            lambda: intake.awaited.union(intake.positions),
            beats=self._beats,
            answers=answering(self._settings),
        )
        await intake.open()
        watchdog.start()
        HEALTH.started()
        try:
            while not self._stop.is_set():
                records = await intake.take()
                await self._require_same_topic()
                if records:
                    await self._store(records)
                await self._writer.apply_held()
        except OwnedByAnother as moved:
            log.warning("another sink already advanced this partition; rejoining the group", partitions=str(moved))
        finally:
            watchdog.stop()
            await intake.close()

    async def close(self) -> None:
        """Close the connection to Postgres."""
        await self._writer.close()

    async def _require_same_topic(self) -> None:
        """Check that the topic was not recreated: a consumer continues in the new topic without an error.

        Raises OffsetMismatch if it was.
        """
        now = time.monotonic()
        if now < self._identify_at:
            return
        self._identify_at = now + IDENTIFY_EVERY_S
        try:
            found = await identify(self._settings, Topic.RECIPIENT_EVENTS, IDENTIFY_TIMEOUT_S)
        except Transient:  # Kafka is unavailable, or the topic is being recreated. The next check decides.
            return
        if found != self._identity:
            raise OffsetMismatch(f"{found.topic} was recreated while the sink was reading it. {REMEDY}")

    async def _store(self, records: Sequence[Record]) -> None:
        """Store a batch. With too many dead letters, store as much of it as the limit allows, then halt until the stop.

        Raises OwnedByAnother.
        """
        metrics.BATCH_RECORDS.labels(STAGE).observe(len(records))
        start, size = 0, len(records)
        while start < len(records) and not self._stop.is_set():
            part = records[start : start + size]
            try:
                await self._guard.handle(part)
            except TooManyDeadLetters as error:
                if len(part) > 1:
                    size = (len(part) + 1) // 2
                    continue
                await halt_until_stopped(error, STAGE, self._stop, self._beats.beat)
            start += len(part)

    async def _condemn(self, record: Record) -> None:
        """Dead-letter a record that ends processes, without reading it."""
        self._condemned = record.place
        await self._store_part([record])

    async def _store_part(self, records: Sequence[Record]) -> None:
        """Store records in one transaction, and retry without limit. Raises TooManyDeadLetters, OwnedByAnother."""
        tries = 0
        while not self._stop.is_set():
            started = time.monotonic()
            moves = moves_of(records, self._intake.positions)
            try:
                await self._writer.write(records, moves, self._condemned)
            except TooManyDeadLetters:
                raise
            except Exception as error:
                if offsets.has_moved(error):
                    self._letters.forget_all()
                    raise OwnedByAnother(str(sorted(moves))) from error
                if not (is_transient(error) or isinstance(error, PublishFailed)):
                    raise
                tries += 1
                self._beats.beat()  # A restart would not help, so the watchdog must not end the process.
                await self._wait(error, tries)
            else:
                self._beats.beat()
                self._intake.advance({partition: following for partition, (_, following) in moves.items()})
                metrics.SINK_BATCH_SECONDS.observe(time.monotonic() - started)
                return

    async def _positions_of(self, available: Watermarks) -> Mapping[int, int]:
        """The offsets at which to start in assigned partitions. It waits while Postgres is unavailable."""
        tries = 0
        while True:
            try:
                return await self._writer.read_offsets(available)
            except Exception as error:
                if not is_transient(error):
                    raise
                if self._stop.is_set():
                    raise Transient("stopped while Postgres was unavailable") from error
                tries += 1
                self._beats.beat()
                await self._wait(error, tries)

    async def _wait(self, error: Exception, tries: int) -> None:
        metrics.RETRIES.labels(STAGE).inc()
        delay_s = exponential(tries, base_s=0.1, cap_s=5.0)
        log.warning("retrying", error=str(error) or type(error).__name__, tries=tries, delay_s=delay_s)
        await self._writer.close()
        await pause(self._stop, delay_s)
