"""The sink: writes `recipient.events` and `subscription.events` to Postgres, and applies reports on `campaign.control`.
Any number of sink processes may run.

Each topic has a consumer and a writer of its own (`sinks.writer`, `sinks.subscriptions`), so that neither holds up the
other. A consumer takes batches from Kafka and gives them to its writer. While Postgres or Kafka is unavailable, it
retries the same batch. It drops nothing, and it reads at most one batch further.

While Postgres writes a batch, the next one is read, decoded and compared with the rows (`sinks.prepared`). Batches are
written in order, one transaction after the other; only work that writes nothing is done ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.collector import collecting_rarely
from runtime.health import HEALTH
from runtime.process import Transient
from runtime.pulse import Heartbeats
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.places import REMEDY, OffsetMismatch, Place, Record, TopicIdentity, Watermarks
from schemas.topics import Topic
from sinks.batch import Moves, last_offsets, moves_of
from sinks.connection import SinkConnection
from sinks.control import ControlWriter
from sinks.letters import BatchLetters
from sinks.subscriptions import SubscriptionWriter
from sinks.writer import BatchWriter
from tables import offsets
from tables.database import answering, connect, is_transient
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters, halt_until_stopped
from topics.dead_letters import DeadLetters
from topics.exits import ExitGuard, KafkaExitMarks
from topics.identity import Identities, identify
from topics.intake import RecordIntake
from topics.publisher import AsyncPublisher, PublishFailed
from topics.scan import find_ranges
from topics.watchdog import Watchdog

STAGE = "sink"
SUBSCRIPTIONS_STAGE = "subscriptions"
"""The group that reads the opt-outs and opt-ins. It is a part of each sink process."""
CONTROL_STAGE = "control"
"""The group that reads what Meta reported. It is a part of each sink process too."""
APPLIED_TOPICS = (Topic.RECIPIENT_EVENTS, Topic.SUBSCRIPTION_EVENTS, Topic.CAMPAIGN_CONTROL)
IDENTIFY_EVERY_S = 10.0
"""Pause between two checks for a recreated topic. Records that a sink reads from it in between are applied again, from
the topic's beginning, after an operator has accepted the topic."""
IDENTIFY_TIMEOUT_S = 3.0
RECORDS_MAX = 10_000
"""Most records of a batch, so of a transaction. With a backlog, larger ones cost Postgres a little less for each event,
and take memory and the locks of their rows for longer. Without one, a batch has what arrived while the batch before was
written."""
DEAD_LETTER_TIMEOUT_S = 5.0
"""How long Kafka may take to acknowledge dead letters. No row is locked meanwhile."""

GC_THRESHOLDS = (200_000, 50, 100)
"""A batch creates many objects and no reference cycle. With Python's thresholds, collecting took half the time."""

log = structlog.get_logger(__name__)


class EventWriter(Protocol):
    """What a sink needs to write the records of its topic."""

    @property
    def connection(self) -> SinkConnection:
        """The connection over which it writes."""
        ...

    async def foresee(self, records: Sequence[Record]) -> Sequence[Record]:
        """Do what can be done for these records while the batch before them is written, not over `connection`.

        Returns those that are written together: all of them (the same object), or the first ones.
        """
        ...

    async def write(self, records: Sequence[Record], moves: Moves, condemned: Place | None = None) -> None:
        """Write a batch and move the offsets, in one transaction."""
        ...

    async def apply_held(self) -> None:
        """Try again what waits in Postgres."""
        ...

    async def close(self) -> None:
        """Close every connection to Postgres."""
        ...


WriterOf = Callable[[Settings, TopicIdentity, BatchLetters], EventWriter]


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Apply events until `stop`."""
    publisher, identities = AsyncPublisher(settings), Identities(settings)
    try:
        with collecting_rarely(GC_THRESHOLDS):
            async with asyncio.TaskGroup() as tasks:
                stages: Sequence[tuple[str, Topic, WriterOf]] = (
                    (STAGE, Topic.RECIPIENT_EVENTS, BatchWriter),
                    (SUBSCRIPTIONS_STAGE, Topic.SUBSCRIPTION_EVENTS, SubscriptionWriter),
                    (CONTROL_STAGE, Topic.CAMPAIGN_CONTROL, ControlWriter),
                )
                for stage, topic, writer in stages:
                    tasks.create_task(_consume(settings, stop, publisher, identities, stage, topic, writer))
    except BaseExceptionGroup as failed:  # the first failure has cancelled the other consumer
        raise failed.exceptions[0] from failed
    finally:
        await publisher.close()


async def _consume(
    settings: Settings,
    stop: asyncio.Event,
    publisher: AsyncPublisher,
    identities: Identities,
    stage: str,
    topic: Topic,
    writer: WriterOf,
) -> None:
    identity = await identities.identify(topic)
    limit = DeadLetterLimit(settings.dead_letter_rate_max, settings.dead_letter_share_max)
    letters = BatchLetters(DeadLetters(publisher, stage, limit, timeout_s=DEAD_LETTER_TIMEOUT_S))
    sink = Sink(settings, stop, stage, topic, identities, identity, letters, writer(settings, identity, letters))
    try:
        while not stop.is_set():
            await sink.consume()
    finally:
        await sink.close()


async def accept_topic(settings: Settings) -> None:
    """Accept each topic that was recreated, else that of recipients, as it is now.

    The sink then applies it from its beginning; repeated events change no row.
    """
    connection = await connect(settings.database_url.get_secret_value(), application_name="campaigns-sink")
    async with connection:
        topics = [(await identify(settings, topic)) for topic in APPLIED_TOPICS]
        available = {identity: await find_ranges(settings, identity.topic) for identity in topics}
        lost = [each for each in topics if await offsets.is_lost(connection, each, available[each])]
        for identity in lost or topics[:1]:
            await offsets.accept_topic(connection, identity, available[identity])


class OwnedByAnother(Transient):
    """Another sink has advanced one of these partitions."""


class StoppedInAssignment(Transient):
    """The sink was stopped before it could read the offsets of new partitions. It has nothing to store then."""


class Sink:
    """One member of the consumer group, and its writer."""

    def __init__(
        self,
        settings: Settings,
        stop: asyncio.Event,
        stage: str,
        topic: Topic,
        identities: Identities,
        identity: TopicIdentity,
        letters: BatchLetters,
        writer: EventWriter,
    ) -> None:
        self._settings = settings
        self._stop = stop
        self._stage = stage
        self._topic = topic
        self._identities = identities
        self._identity = identity
        self._letters = letters
        self._writer = writer
        marks = KafkaExitMarks(settings, stage, identity.topic)
        self._guard = ExitGuard(marks, self._store_part, self._condemn)
        self._condemned: Place | None = None
        self._beats = Heartbeats()
        self._storing = asyncio.Lock()
        """Held while the connection of the writer is used."""
        self._rest: Sequence[Record] = ()
        """Records that were read and are not given to the writer yet."""
        self._ready: Sequence[Record] = ()
        """The records that were prepared last."""
        self._last_offsets: Mapping[int, int] = {}
        """Theirs. To find them takes 1 ms, in which Postgres would wait."""
        self._identify_at = time.monotonic() + IDENTIFY_EVERY_S

    async def consume(self) -> None:
        """Consume until `stop`, or until another sink has advanced one of our partitions."""
        intake = self._intake = RecordIntake(
            self._settings,
            self._stage,
            self._identity.topic,
            self._positions_of,
            self._settled,
            RECORDS_MAX,
            self._writer.connection.has_answer,
        )
        watchdog = Watchdog(
            self._settings,
            self._stage,
            self._identity.topic,
            lambda: intake.awaited.union(intake.positions),
            beats=self._beats,
            answers=answering(self._settings),
        )
        self._rest = ()  # of another intake: they come again
        await intake.open()
        watchdog.start()
        HEALTH.started()
        coming = asyncio.create_task(self._take())
        try:
            while not self._stop.is_set():
                records = await coming
                async with self._storing:
                    # Begun with the lock held: no partition of these records is given away before they are stored.
                    coming = asyncio.create_task(self._take())
                    await self._require_same_topic()
                    if records:
                        await self._store(records)
                    await self._writer.apply_held()
        except OwnedByAnother as moved:
            log.warning("another sink already advanced this partition; rejoining the group", partitions=str(moved))
        except StoppedInAssignment as stopped:
            log.info("the sink ends without its new partitions", reason=str(stopped))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)  # these records are not stored, so they come again
            watchdog.stop()
            await intake.close()

    async def _take(self) -> Sequence[Record]:
        """The next records, prepared for the writer unless they have to be handled one by one.

        A writer may take a part of them. No partition is given away before the rest is stored, because only
        `RecordIntake.take` does that.
        """
        records = self._rest or await self._intake.take()
        self._rest = ()
        if not records or not await self._guard.trusts(records):
            return records
        part = await self._writer.foresee(records)
        if len(part) < len(records):
            self._rest = records[len(part) :]
        self._ready, self._last_offsets = part, last_offsets(part)
        return part

    async def _settled(self) -> None:
        """Wait until the batch that is being stored is stored."""
        async with self._storing:
            pass

    async def close(self) -> None:
        """Close the connections to Postgres."""
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
            found = await self._identities.identify(self._topic, IDENTIFY_TIMEOUT_S)
        except Transient:  # Kafka is unavailable, or the topic is being recreated. The next check decides.
            return
        if found != self._identity:
            raise OffsetMismatch(f"{found.topic} was recreated while the sink was reading it. {REMEDY}")

    async def _store(self, records: Sequence[Record]) -> None:
        """Store a batch. With too many dead letters, store as much of it as the limit allows, then halt until the stop.

        Raises OwnedByAnother.
        """
        metrics.BATCH_RECORDS.labels(self._stage).observe(len(records))
        start, size = 0, len(records)
        while start < len(records) and not self._stop.is_set():
            # A whole batch stays the same object: the writer knows it by that.
            part = records if size == len(records) else records[start : start + size]
            try:
                await self._guard.handle(part)
            except TooManyDeadLetters as error:
                if len(part) > 1:
                    size = (len(part) + 1) // 2
                    continue
                await halt_until_stopped(error, self._stage, self._stop, self._beats.beat)
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
            last = self._last_offsets if records is self._ready else last_offsets(records)
            moves = moves_of(last, self._intake.positions)
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
        async with self._storing:
            tries = 0
            while True:
                try:
                    return await offsets.read_offsets(await self._writer.connection.get(), self._identity, available)
                except Exception as error:
                    if not is_transient(error):
                        raise
                    if self._stop.is_set():
                        raise StoppedInAssignment("stopped while Postgres was unavailable") from error
                    tries += 1
                    self._beats.beat()
                    await self._wait(error, tries)

    async def _wait(self, error: Exception, tries: int) -> None:
        metrics.RETRIES.labels(self._stage).inc()
        delay_s = exponential(tries, base_s=0.1, cap_s=5.0)
        log.warning("retrying", error=str(error) or type(error).__name__, tries=tries, delay_s=delay_s)
        await self._writer.connection.close()
        await pause(self._stop, delay_s)
