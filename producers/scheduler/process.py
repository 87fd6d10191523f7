"""The scheduler: one leader releases due recipients, republishes unclaimed jobs, and completes campaigns.

Several loops share the connection of the leader, so that an unreachable Kafka never delays a cancellation. When
Postgres is lost, the process waits and takes the lock again. A bug ends the process.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from producers.scheduler.breakers import watch_breakers
from producers.scheduler.canaries import watch_canaries
from producers.scheduler.gauges import show_gauges
from producers.scheduler.numbers import watch_numbers
from producers.scheduler.outbox import JobsTopic, publish_and_record_jobs
from producers.scheduler.redelivery import Redelivery
from producers.scheduler.retention import Retention
from producers.scheduler.subscriptions import sweep_subscriptions
from producers.scheduler.template_edits import watch_edits
from producers.scheduler.upkeep import Upkeep
from producers.scheduler.webhook_age import watch_webhooks
from producers.scheduler.work import WorkWatch
from runtime import metrics
from runtime.collector import collecting_rarely
from runtime.process import Transient
from runtime.pulse import Heartbeats, Pulse
from runtime.settings import Settings
from runtime.tracing import now_ns
from runtime.waiting import pause
from tables import locks, portfolio
from tables.database import answering, is_transient
from tables.leadership import Election, Leader, leadership
from tables.release_memory import ReleaseMemory
from tables.releases import RELEASER_SESSION, Rates, ReleaseStep, release_step
from tables.work import WorkKind
from topics.jobs import count_released
from topics.publisher import AsyncPublisher, PublishFailed

BUSY_S = 0.1
"""Pause between steps while recipients are due. Small steps of a tenth of a second keep the senders evenly busy."""
IDLE_S = 0.5
RECONNECT_S = 1.0
SENDING = frozenset({WorkKind.ACTIVE})
FATAL_POLL_S = 1.0
ELECTION = Election(
    component="scheduler", application_name="campaigns-scheduler", lock=locks.SCHEDULER, session=RELEASER_SESSION
)

log = structlog.get_logger("scheduler")


class ProducerLost(Transient):
    """The Kafka producer can never publish again."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Lead whenever the lock is free, until `stop`. Raises Transient when Postgres stays unreachable."""
    publisher = AsyncPublisher(settings)
    lost_since: float | None = None
    beats = Heartbeats()
    pulse = Pulse(settings, "scheduler", beats, answering(settings))
    pulse.start()
    try:
        while not stop.is_set():
            started = time.monotonic()
            try:
                with collecting_rarely():
                    await _lead(settings, publisher, stop, beats)
            except Exception as error:
                if lost := _lost_producer(error):
                    raise lost from error
                if not _is_transient(error):
                    raise
                if time.monotonic() - started > settings.stall_limit_s or lost_since is None:
                    lost_since = time.monotonic()
                if time.monotonic() - lost_since > settings.stall_limit_s:
                    raise Transient("Postgres was unreachable for too long") from error
                log.warning("Postgres is unreachable; nothing is released until it answers", error=_reason(error))
                beats.beat()
                await pause(stop, RECONNECT_S)
    finally:
        pulse.stop()
        await publisher.close()


async def _lead(settings: Settings, publisher: AsyncPublisher, stop: asyncio.Event, beats: Heartbeats) -> None:
    async with leadership(settings, ELECTION, stop, beats) as leader:
        if leader is None:
            return
        jobs_topic = JobsTopic(settings)
        async with leader.turn() as connection:
            await portfolio.configure(connection, Rates.of(settings).portfolio)
        work = WorkWatch()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(leader.keep(stop))
            tasks.create_task(work.run(leader, stop))
            tasks.create_task(_release(leader, publisher, jobs_topic, settings, stop, beats, work))
            tasks.create_task(Redelivery(leader, publisher, settings, jobs_topic, work).run(stop))
            tasks.create_task(Upkeep(leader, settings, work).run(stop))
            tasks.create_task(Retention(leader, settings).run(stop))
            tasks.create_task(watch_breakers(leader, publisher, settings, stop, work))
            tasks.create_task(watch_canaries(leader, settings, stop, work))
            tasks.create_task(watch_edits(leader, settings, stop, work))
            tasks.create_task(watch_numbers(leader, settings, stop))
            tasks.create_task(sweep_subscriptions(leader, publisher, settings, stop, work))
            tasks.create_task(watch_webhooks(leader, settings, stop))
            tasks.create_task(show_gauges(leader, settings, stop))
            tasks.create_task(_end_with(publisher, stop))


async def _end_with(publisher: AsyncPublisher, stop: asyncio.Event) -> None:
    """Raise Transient if the producer can never publish again: a new process has a new producer."""
    while not await pause(stop, FATAL_POLL_S):
        if publisher.fatal.is_set():
            raise ProducerLost("the Kafka producer failed for good; a restart makes a new one")


async def _release(
    leader: Leader,
    publisher: AsyncPublisher,
    jobs_topic: JobsTopic,
    settings: Settings,
    stop: asyncio.Event,
    beats: Heartbeats,
    work: WorkWatch,
) -> None:
    rates, memory = Rates.of(settings), ReleaseMemory()
    async with asyncio.TaskGroup() as publications:  # a step does not wait for the jobs of an earlier one
        while True:
            beats.beat()
            started, started_ns = time.monotonic(), now_ns()
            async with leader.turn() as connection:
                with metrics.SCHEDULER_STEP_SECONDS.time():
                    step = await release_step(connection, rates, memory)
            count_released(step.jobs, started_ns)
            publications.create_task(_publish(leader, publisher, jobs_topic, settings, step))
            interval_s = BUSY_S if step.is_more else IDLE_S
            left_s = max(0.0, interval_s - (time.monotonic() - started))
            if await work.next_round(stop, SENDING, left_s, beats.beat) is None:
                return


async def _publish(
    leader: Leader, publisher: AsyncPublisher, jobs_topic: JobsTopic, settings: Settings, step: ReleaseStep
) -> None:
    if step.skipped or step.exhausted:
        log.info("recipients skipped instead of released", skipped=step.skipped, exhausted=step.exhausted)
    if step.jobs and jobs_topic.id is None:
        await jobs_topic.refresh()
    try:
        await publish_and_record_jobs(leader.turn, publisher, settings, step.jobs, jobs_topic.id)
    except PublishFailed as error:
        # The cap stops further releases, and the redelivery publishes these jobs once Kafka answers.
        log.warning("jobs are released; they are published once Kafka answers", jobs=len(step.jobs), error=str(error))


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_transient(inner) for inner in error.exceptions)
    return is_transient(error)


def _lost_producer(error: BaseException) -> ProducerLost | None:
    if isinstance(error, BaseExceptionGroup):
        return next((lost for inner in error.exceptions if (lost := _lost_producer(inner))), None)
    return error if isinstance(error, ProducerLost) else None


def _reason(error: BaseException) -> str:
    first = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    return str(first).strip() or type(first).__name__
