"""Faust as a library: one app, one agent, and a loop that never lets an event be acknowledged too early.

Faust acks a batch when its agent takes the next one, AND when an exception or a cancellation leaves the agent. An
exception would therefore lose the batch silently. So nothing leaves the loop here:

- A transient failure is retried inside the loop, with backoff, for five minutes. Then the process exits with 75.
- An invalid record is dead-lettered by the handler, which then returns normally.
- With too many dead letters the stage takes fewer records at a time, up to the limit, and acknowledges those. Then it
  halts: it keeps its partitions and acknowledges nothing more until it is stopped.
- A bug or a cancellation in the middle of a batch ends the process at once (`os._exit`), with the batch unacknowledged.

Every orderly way out of a coroutine would run Faust's own clean-up, and that acknowledges the batch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import faust
import structlog
from aiokafka.errors import KafkaError

from runtime import logs, metrics
from runtime.health import HEALTH
from runtime.process import EXIT_BUG, EXIT_TRANSIENT, Transient
from runtime.pulse import Heartbeats, IsReachable, always
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.places import EPOCH, Record
from streams.faust_credentials import credentials
from streams.fetching import EagerTransport
from streams.membership import leave_when_stopped
from streams.patient_stream import PatientStream
from topics.apply import require_topic
from topics.dead_letter_limit import TooManyDeadLetters, halt_until_stopped
from topics.watchdog import Watchdog

START_LIMIT_S = 60.0
"""A start that takes longer ends the process, because a broker that has returned may answer a new one."""
START_PATIENCE_S = 3.0
"""Time for a start to complete after a stop was requested."""
STOP_DEADLINE_S = 12.0
"""Time for the batch in hand to end and for its offsets to be committed. Faust itself would wait without limit for a
broker that is away, and the drain of a sender needs the rest of the 45 s that the process has."""
RETRY_FIRST_S = 0.25
RETRY_MAX_S = 10.0
RETRY_LIMIT_S = 300.0
"""A batch that fails for so long ends the process with 75, because a new process may succeed."""


Handle = Callable[[Sequence[Record]], Awaitable[None]]
"""Makes the effect of a batch durable. It raises Transient to get the batch again; another exception is a bug."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """The topic that a stage reads, and the size of its batches."""

    stage: str
    topic: str
    """The real name of the topic."""
    batch_max: int
    within_s: float
    """How long a batch waits for more records after its first one."""
    buffer_records_max: int
    """Records in Faust's buffer between fetcher and agent. It decides the memory of the process."""


async def consume(
    settings: Settings,
    stop: asyncio.Event,
    consumption: Consumption,
    handle: Handle,
    beats: Heartbeats | None = None,
    answers: IsReachable = always,
    shared: Callable[[float], None] = lambda _share: None,
    statuses_per_record: Callable[[], float] = lambda: 1.0,
) -> None:
    """Consume until `stop`. `beats`: a stage reports progress there that no commit shows.

    `answers`: whether the dependencies of the handler are reachable. While they are not, idleness is not a stall.
    `shared`: gets, before each batch, the share of the topic's partitions that this process has.
    `statuses_per_record`: estimates the statuses in the waiting records, for the metrics.
    """
    app = _app(settings, consumption)
    beats = Heartbeats() if beats is None else beats
    batches = Batches(handle, stop, consumption.stage, beat=beats.beat)

    partitions = await asyncio.to_thread(require_topic, settings, consumption.topic)

    async def agent(stream: Any) -> None:
        async for events in stream.take_events(consumption.batch_max, within=consumption.within_s):
            try:
                if partitions and (assigned := _assigned(app)):
                    shared(len(assigned) / partitions)
                await batches.settle([_record(event) for event in events], partial(_acknowledge, events))
            except Transient as error:
                _end(EXIT_TRANSIENT, "the process ends with a batch unfinished; Kafka will deliver it again", error)
            except asyncio.CancelledError:
                _end(EXIT_TRANSIENT, "the agent was cancelled in the middle of a batch; Kafka will deliver it again")
            except BaseException as error:  # noqa: BLE001 - any exception that leaves here would acknowledge the batch
                _end(EXIT_BUG, "ended by a bug", error)

    source = app.topic(consumption.topic, key_serializer="raw", value_serializer="raw")
    app.agent(source, name=f"{consumption.stage}.agent", concurrency=1)(agent)
    watchdog = Watchdog(
        settings,
        consumption.stage,
        consumption.topic,
        lambda: _assigned(app),
        beats=beats,
        answers=answers,
        statuses_per_record=statuses_per_record,
    )
    if not await _started(app, stop):
        return
    logs.quiet_libraries()
    watchdog.start()
    HEALTH.started()
    try:
        await _until_stopped(app, stop)
    finally:
        watchdog.stop()
        leave_when_stopped(app)
        stopping = asyncio.ensure_future(app.stop())
        await asyncio.wait({stopping}, timeout=STOP_DEADLINE_S)
    if not stopping.done():  # it is not cancelled, because a cancellation would be waited for as well
        raise Transient("the consumer did not stop in time; its last offsets are not committed")
    stopping.result()
    if isinstance(app.crash_reason, KafkaError):
        raise Transient(f"the consumer ended: {type(app.crash_reason).__name__}") from app.crash_reason
    if app.crash_reason is not None:
        raise RuntimeError("the consumer crashed") from app.crash_reason


class Batches:
    """Retries one batch after transient failures, with growing pauses, up to a limit."""

    def __init__(
        self,
        handle: Handle,
        stop: asyncio.Event,
        stage: str,
        retry_first_s: float = RETRY_FIRST_S,
        retry_limit_s: float = RETRY_LIMIT_S,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._handle = handle
        self._stop = stop
        self._stage = stage
        self._retry_first_s = retry_first_s
        self._retry_limit_s = retry_limit_s
        self._beat = beat

    async def settle(
        self, records: Sequence[Record], acknowledge: Callable[[int, int], None] = lambda _start, _end: None
    ) -> None:
        """Return when the effect of the batch is durable. Raises Transient at the limit, or at once when stopping.

        With too many dead letters the batch is halved, down to one record; each part that succeeds is acknowledged
        alone, by its bounds in the batch. One record that still exceeds the limit halts the stage until the stop.
        """
        metrics.BATCH_RECORDS.labels(self._stage).observe(len(records))
        start, size = 0, len(records)
        while start < len(records):
            end = min(start + size, len(records))
            try:
                await self._settle(records[start:end])
            except TooManyDeadLetters as error:
                if size > 1:
                    size = (end - start + 1) // 2
                    continue
                await halt_until_stopped(error, self._stage, self._stop, self._beat)
                raise Transient("the stage was stopped while it was halted: too many dead letters") from error
            if size < len(records):
                acknowledge(start, end)
            start = end

    async def _settle(self, records: Sequence[Record]) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._retry_limit_s
        pause_s = self._retry_first_s
        while True:
            try:
                await self._handle(records)
                return
            except Transient as error:
                metrics.RETRIES.labels(self._stage).inc()
                if self._stop.is_set() or loop.time() + pause_s > give_up_at:
                    raise
                structlog.get_logger(self._stage).warning(
                    "batch failed; it is retried", records=len(records), pause_s=pause_s, error=str(error)
                )
            await pause(self._stop, pause_s)
            pause_s = min(pause_s * 2, RETRY_MAX_S)


async def _started(app: Any, stop: asyncio.Event) -> bool:
    """Start the app. Its topic exists, because Faust would wait silently for a missing topic.

    Faust also waits without limit for a broker that goes away during the start, so a stop or a limit ends the wait.
    Returns False if the stop came before the start was complete; then no batch is in hand.
    """
    starting = asyncio.ensure_future(app.start())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({starting, stopping}, timeout=START_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.wait({starting}, timeout=START_PATIENCE_S)  # a start that completes soon can be stopped in order
    if not starting.done():
        if not stop.is_set():
            raise Transient(f"could not start within {START_LIMIT_S:.0f} s")
        structlog.get_logger("streams").info("stopped before the consumer had started")
        return False
    try:
        starting.result()
    except KafkaError as error:
        raise Transient(f"Kafka: {type(error).__name__}") from None
    return True


class _App(faust.App):
    """An app with our transport, and without the folders of Faust's tables, of which we use none."""

    def _create_directories(self) -> None:
        """Create nothing."""

    def _new_transport(self) -> EagerTransport:
        return EagerTransport(self.conf.broker_consumer, self)


def _app(settings: Settings, consumption: Consumption) -> Any:
    more: dict[str, Any] = {"consumer_group_instance_id": settings.instance} if settings.instance else {}
    given = credentials(settings)
    if given is not None:
        more["broker_credentials"] = given
    return _App(
        settings.group(consumption.stage),
        loop=asyncio.get_running_loop(),
        broker=[f"kafka://{address.strip()}" for address in settings.kafka_bootstrap_servers.split(",")],
        key_serializer="raw",
        value_serializer="raw",
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        Stream=PatientStream,
        table_standby_replicas=0,
        processing_guarantee="at_least_once",
        stream_wait_empty=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=1.0,
        broker_commit_every=10_000,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_rebalance_timeout=60.0,
        broker_request_timeout=90.0,
        broker_max_poll_interval=7 * 86_400.0,  # a halted stage keeps its partitions; the watchdog finds a stall
        stream_buffer_maxsize=consumption.buffer_records_max,
        consumer_max_fetch_size=1024 * 1024,
        web_enabled=False,
        **more,
    )


async def _until_stopped(app: Any, stop: asyncio.Event) -> None:
    """Wait for our stop, or for the end of the app, which is a crash."""
    waits = {asyncio.ensure_future(stop.wait()), asyncio.ensure_future(app.wait_until_stopped())}
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if not stop.is_set() and app.crash_reason is None:
        raise Transient("the consumer ended unexpectedly")


def _record(event: Any) -> Record:
    message = event.message
    at = EPOCH if not message.timestamp or message.timestamp < 0 else datetime.fromtimestamp(message.timestamp, UTC)
    headers = tuple((name, value or b"") for name, value in message.headers or ())
    return Record(message.topic, message.partition, message.offset, message.key, message.value, at, headers)


def _acknowledge(events: Sequence[Any], start: int, end: int) -> None:
    """Acknowledge some events of a batch now. Faust commits them while the stage is halted."""
    for event in events[start:end]:
        event.ack()


def _assigned(app: Any) -> frozenset[int]:
    """The partitions that are assigned now; none before the first assignment."""
    consumer = getattr(app, "_consumer", None)
    try:
        return frozenset(place.partition for place in consumer.assignment()) if consumer is not None else frozenset()
    except (AttributeError, RuntimeError, faust.exceptions.FaustError):
        return frozenset()  # not started yet, or in the middle of a rebalance


def _end(code: int, event: str, error: BaseException | None = None) -> NoReturn:
    """End the process now, because every orderly way out would acknowledge the batch."""
    log = structlog.get_logger("streams")
    log.error(event, exit_code=code, exc_info=error if code == EXIT_BUG else None, error=str(error or ""))
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)
