"""The sender: takes jobs from Kafka, claims each attempt in Postgres, posts it once, and publishes its outcome.

This module only builds the parts and stops them in order: Kafka first (the batch in hand is finished), then the sends
in flight (they are settled or deferred), then their events, then the rest. The rules are in `intake`, `claims`,
`freshness` and `sends`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from domain.breakers import ProbePauses
from runtime.collector import collecting_rarely
from runtime.process import Transient
from runtime.pulse import Heartbeats
from runtime.settings import Settings
from schemas import callback
from schemas.jobs import SendJob
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, Handle, consume
from streams.sender.claims import SESSION, STATEMENT_TIMEOUT_S, Claims, boot_time
from streams.sender.cloud_api import CloudApi, Endpoint
from streams.sender.failures import Failures
from streams.sender.gate import Gate
from streams.sender.intake import JobIntake, Window
from streams.sender.outbox import Outbox
from streams.sender.sends import Sends, SendTiming
from streams.sender.stage import STAGE
from streams.sender.webhook_age import WebhookAge
from tables import database
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from topics.dead_letters import DeadLetters
from topics.exits import ExitGuard, ExitMarks, KafkaExitMarks
from topics.publisher import AsyncPublisher, Publisher

DRAIN_S = 40.0
"""Sends in flight at the stop get this long: an answer takes 20 s at most, its settlement the rest."""
DATABASE_CONNECTIONS = 5
TRUSTED_S = 1.0
"""A connection that answered so recently needs no check: a sender repeats every statement whose answer is lost."""
BATCH_MIN, BATCH_MAX = 128, 512
"""Faust hands out the next batch after the one before is claimed, and its turns are long while hundreds of posts are in
flight. A batch of a second's jobs is claimed within the grace of a stop."""
BATCH_WITHIN_S = 0.05
"""At 500 jobs a second 25 jobs share a claim; a job alone waits no longer than this."""
BUFFER_RECORDS_MAX = 2048
"""Jobs under 1 KiB: a second or two of a fast number, and next to no memory."""


class DrainTooLong(Transient):
    """Sends are still in flight, or events are not published, at the end of the drain."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The parts that the process and its tests use."""

    intake: JobIntake
    sends: Sends
    window: Window
    outbox: Outbox
    share: Callable[[float], None]
    """Sets the share of each number's rate that this process may use."""

    def stop(self) -> None:
        """Finish the batch in hand if that is quick, and defer what waits for a throttle."""
        self.intake.close()
        self.sends.draining.set()

    async def drain(self, patience_s: float = DRAIN_S) -> None:
        """Wait for the sends in flight, and until their events are published.

        Raises DrainTooLong. The sends that are left become `unknown`; the scheduler publishes the events that are left.
        """
        self.stop()
        try:
            async with asyncio.timeout(patience_s):
                await self.window.empty()
                await self.outbox.published()
        except TimeoutError:
            sends = self.window.in_flight
            left = f"{sends} sends are in flight" if sends else "events are not published"
            raise DrainTooLong(f"after {patience_s:.0f} s {left}") from None


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Send until `stop`, then drain."""
    settings.require("whatsapp_access_token", "callback_secret")
    await database.require_right_schema(settings)
    beats = Heartbeats()
    publisher = AsyncPublisher(settings)
    jobs = Consumption(
        STAGE, settings.topic(Topic.SEND_JOBS), batch_max(settings.whatsapp_mps), BATCH_WITHIN_S, BUFFER_RECORDS_MAX
    )
    try:
        async with sending(settings, publisher, beats.beat) as sender:
            stopping = asyncio.create_task(_stop_when(stop, sender))
            handle = handler(sender, guarded(sender, KafkaExitMarks(settings, STAGE, jobs.topic)))
            try:
                with collecting_rarely():
                    await consume(settings, stop, jobs, handle, beats, database.answering(settings), sender.share)
            finally:
                stopping.cancel()
    finally:
        await publisher.close()


def batch_max(rate: float) -> int:
    """The most jobs of a batch: those of a second at a number's rate in messages a second, within limits."""
    return int(min(BATCH_MAX, max(BATCH_MIN, rate)))


def guarded(sender: Sender, marks: ExitMarks) -> ExitGuard:
    """The intake of a sender, with the last net for a job that ends processes."""
    intake = sender.intake
    return ExitGuard(marks, intake.take, intake.condemn, intake.take_alone)


def handler(sender: Sender, guard: ExitGuard) -> Handle:
    """Handle a batch. After a bug, which ends the process, the sends in flight first receive their answers."""

    async def handle(records: Sequence[Record]) -> None:
        try:
            await guard.handle(records)
        except (Transient, TooManyDeadLetters):
            raise
        except Exception:  # without their answers the sends in flight would become `unknown`
            with contextlib.suppress(DrainTooLong):
                await sender.drain()
            raise

    return handle


async def _stop_when(stop: asyncio.Event, sender: Sender) -> None:
    await stop.wait()
    sender.stop()


@contextlib.asynccontextmanager
async def sending(
    settings: Settings, publisher: Publisher, progressed: Callable[[], None] = lambda: None
) -> AsyncIterator[Sender]:
    """A sender without its source of jobs. Leaving it drains; a bug in any part cancels the body and is raised."""
    pool = database.pool(
        settings.database_url.get_secret_value(),
        application_name="campaigns-sender",
        size=DATABASE_CONNECTIONS,
        statement_timeout_s=STATEMENT_TIMEOUT_S,
        session=SESSION,
        trusted_s=TRUSTED_S,
    )
    api = CloudApi(
        url=settings.whatsapp_api_url,
        version=settings.whatsapp_api_version,
        access_token=settings.whatsapp_access_token,
        tokens=settings.tokens_by_number(),
        timeout_s=settings.send_timeout_s,
        connections=settings.send_window,
        endpoint=Endpoint(settings.whatsapp_endpoint, settings.whatsapp_product_policy),
    )
    claims = Claims(pool, lease_s=settings.lease_s, clock=boot_time, progressed=progressed)
    pauses = ProbePauses().scaled(settings.time_scale)
    outbox = Outbox(pool, publisher, settings.topic(Topic.RECIPIENT_EVENTS), pauses)
    limit = DeadLetterLimit(settings.dead_letter_rate_max, settings.dead_letter_share_max)
    failures = Failures(pool)
    gate, window = Gate(settings.whatsapp_mps, settings.mps_by_number()), Window(settings.send_window)
    sends = Sends(
        claims=claims,
        gate=gate,
        api=api,
        outbox=outbox,
        timing=SendTiming(lease_s=settings.lease_s, time_scale=settings.time_scale),
        callback_data=_callback_data(settings),
        failures=failures,
        own_tokens=frozenset(settings.tokens_by_number()),
        clock=boot_time,
        progressed=progressed,
    )
    async with pool, api:
        await failures.check()
        try:
            async with asyncio.TaskGroup() as tasks:
                services = [
                    tasks.create_task(claims.run(), name="renewals"),
                    tasks.create_task(outbox.run(), name="outbox"),
                ]
                intake = JobIntake(
                    claims=claims,
                    gate=gate,
                    sends=sends,
                    outbox=outbox,
                    window=window,
                    failures=failures,
                    tasks=tasks,
                    dead_letters=DeadLetters(publisher, STAGE, limit),
                    webhook_age=WebhookAge(pool, progressed),
                    progressed=progressed,
                )
                sender = Sender(intake, sends, window, outbox, gate.share)
                try:
                    yield sender
                finally:  # also when the source of jobs failed: a send in flight may still receive its answer
                    await sender.drain()
                    for service in services:
                        service.cancel()
        except BaseException as error:
            await failures.record(error)
            raise


def _callback_data(settings: Settings) -> Callable[[SendJob], str]:
    secret = settings.callback_secret.get_secret_value().encode()

    def encode(job: SendJob) -> str:
        return callback.encode(secret, settings.deployment, job.campaign_id, job.recipient_id, job.attempt)

    return encode
