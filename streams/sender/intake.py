"""From jobs to claims: decode a batch, order its jobs by id, claim as many as the window has free slots.

The claim is the durable effect of a batch, so the batch is acknowledged after it. Sending continues in a bounded window
of slots, and a slow answer occupies only its own slot. Nothing here posts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from domain.traces import SpanPlace
from runtime import metrics
from runtime.process import Transient
from runtime.tracing import TRACES, now_ns
from schemas.dead_letters import DeadItem
from schemas.jobs import SendJob
from schemas.places import Record
from schemas.reasons import DeadLetterReason
from streams.sender.claims import OWNED, Claimed, Claims
from streams.sender.failures import Failures
from streams.sender.gate import Gate
from streams.sender.outbox import Outbox
from streams.sender.sends import Sends
from streams.sender.spans import record_claim
from streams.sender.stage import STAGE
from streams.sender.webhook_age import WebhookAge
from tables.ledger import ClaimResult, Key, UnpublishedOutcome
from topics.dead_letter_limit import TooManyDeadLetters
from topics.dead_letters import DeadLetters
from topics.decoding import dead_item, decoded
from topics.exits import ENDS_PROCESSES

BACKLOG_S = 0.4
"""Claims run ahead of the rate by this much at most. Most posts then need no renewal, and a kill leaves few claims that
were never posted."""
CLAIM_EVERY_S = 0.1
"""A number waits until it has room for the jobs of so long, because they share a statement: a claim takes 0.4 ms of
Postgres, and 0.1 ms more for each job."""
BACKLOG_PAUSE_S = 0.02

THROTTLE_PATIENCE_S = 1.0
"""A number that is throttled for longer leaves its jobs, if there are other numbers."""
ANSWERS_S = 30.0
"""How long the answer to a message that is sent alone is awaited: the timeouts of a post, and its settlement."""
GRACE_S = 5.0
"""A batch in hand at the stop may still be claimed for so long."""


_log = structlog.get_logger(STAGE)


class Unfinished(Transient):
    """The process stops, and a part of the batch could not be claimed in time. Kafka will deliver the batch again."""


class Window:
    """Slots for sends in flight."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Slots in use."""
        return self._size - self._free

    async def free(self) -> None:
        """Return when a slot is free."""
        while self._free == 0:
            await self._wait()

    def take(self, wanted: int) -> int:
        """Take up to `wanted` slots, as many as are free now."""
        taken = min(self._free, wanted)
        self._free -= taken
        return taken

    def give_back(self, slots: int = 1) -> None:
        """Free slots again."""
        self._free += slots
        self._changed.set()

    async def empty(self) -> None:
        """Return when nothing is in flight."""
        while self.in_flight:
            await self._wait()

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class JobIntake:
    """Takes batches of jobs and starts claimed sends as tasks of the group `tasks`."""

    def __init__(
        self,
        *,
        claims: Claims,
        gate: Gate,
        sends: Sends,
        outbox: Outbox,
        window: Window,
        failures: Failures,
        tasks: asyncio.TaskGroup,
        dead_letters: DeadLetters,
        webhook_age: WebhookAge,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._claims = claims
        self._gate = gate
        self._sends = sends
        self._outbox = outbox
        self._window = window
        self._failures = failures
        self._tasks = tasks
        self._dead_letters = dead_letters
        self._webhook_age = webhook_age
        self._progressed = progressed
        metrics.SENDER_IN_FLIGHT.set_function(lambda: window.in_flight)
        self._closes_at: float | None = None
        self._numbers: set[str] = set()
        """The numbers of all jobs so far."""
        self._published_by: dict[Key, SpanPlace] = {}
        """The recorded spans that published jobs of the batch in hand."""

    def close(self, grace_s: float = GRACE_S) -> None:
        """The process stops: finish the batch in hand within the grace, or leave it unacknowledged."""
        self._closes_at = time.monotonic() + grace_s

    async def take(self, records: Sequence[Record]) -> None:
        """Claim or refuse every job of a batch; returns when that is durable, so that the batch may be acknowledged."""
        waiting: dict[str, list[SendJob]] = {}
        for job in await self._decoded(records):
            waiting.setdefault(job.phone_number_id, []).append(job)
        self._numbers |= waiting.keys()
        while waiting:
            await self._unless_closed()
            await self._webhook_age.wait(self._unless_closed)
            self._leave_braked(waiting)
            if not any(self._is_ready(number, jobs) for number, jobs in waiting.items()):
                self._progressed()  # an intended wait is not a stall
                await asyncio.sleep(BACKLOG_PAUSE_S)
                continue
            await self._window.free()
            if chunk := self._next_chunk(waiting):
                await self._claim(chunk)

    async def take_alone(self, records: Sequence[Record]) -> None:
        """As `take`, and wait for the answers too, so that an end of the process names the job that caused it."""
        await self.take(records)
        with contextlib.suppress(TimeoutError):  # a message that is throttled for longer ends no process
            async with asyncio.timeout(ANSWERS_S):
                await self._window.empty()
                await self._outbox.published()

    async def condemn(self, record: Record) -> None:
        """Dead-letter the job of a record that ends processes, and fail its attempt without a post.

        Otherwise the scheduler would publish the unclaimed job again. Only an attempt that nobody has claimed is
        failed. A claim of a process that ended may have been posted, so it becomes `unknown` after its lease.
        """
        job = decoded(SendJob, record)
        if isinstance(job, SendJob):
            await self._fail_unclaimed(job)
        dead = dead_item(record, DeadLetterReason.BUG, ENDS_PROCESSES)
        await self._dead_letters.publish([dead], 1, is_divisible=False)

    async def _fail_unclaimed(self, job: SendJob) -> None:
        try:
            claimed = await self._claims.claim([job])
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001 - the claim is what ends the processes
            _log.exception("a job that ends senders cannot be claimed; it stays unclaimed", exc_info=error)
            return
        key = _key(job)
        answer = claimed.answers[key]
        if answer.verdict in OWNED:
            await self._sends.give_up(job, claimed.claims[key])
        elif answer.event is not None:
            refused = UnpublishedOutcome(job.recipient_id, job.attempt, answer.verdict.value, answer.event)
            await self._outbox.publish(refused)

    def _leave_braked(self, waiting: dict[str, list[SendJob]]) -> None:
        """Leave the jobs of throttled numbers to redelivery, where this sender knows other numbers.

        A throttled number would hold up the batches of the others behind it. Its jobs are not claimed, so the scheduler
        publishes them again, and nothing is lost or sent twice. A sender that knows one number only just waits.
        """
        if len(self._numbers) < 2:
            return
        for number in [each for each in waiting if self._gate.braked_s(each) > THROTTLE_PATIENCE_S]:
            metrics.SENDER_CLAIMS.labels("left").inc(len(waiting.pop(number)))

    def _is_ready(self, number: str, jobs: Sequence[SendJob]) -> bool:
        """Whether the number has room for all its jobs, or for as many as share a claim."""
        room = self._gate.room(number, BACKLOG_S)
        return room >= len(jobs) or self._gate.backlog_s(number) <= BACKLOG_S - CLAIM_EVERY_S

    def _next_chunk(self, waiting: dict[str, list[SendJob]]) -> list[SendJob]:
        """Take the jobs for which the numbers have room and the window has slots out of `waiting`.

        The numbers take turns: one that was served comes last in the next round.
        """
        chunk: list[SendJob] = []
        rooms = {number: self._gate.room(number, BACKLOG_S) for number in waiting}
        for number, room in rooms.items():
            jobs = waiting[number]
            slots = self._window.take(min(len(jobs), room))
            if slots:
                chunk += jobs[:slots]
                del waiting[number]
            if 0 < slots < len(jobs):
                waiting[number] = jobs[slots:]
        return sorted(chunk, key=_place)  # so that all senders lock rows in one order

    async def _claim(self, chunk: list[SendJob]) -> None:
        """Claim or refuse jobs that have their slots, in one statement."""
        try:
            started_ns = now_ns()
            with metrics.SENDER_CLAIM_SECONDS.time():
                claimed = await self._claims.claim(chunk, self._raise_if_closed)
        except BaseException:
            self._window.give_back(len(chunk))
            raise
        self._progressed()
        self._start(chunk, claimed, started_ns)
        await asyncio.sleep(0)  # the sends reserve their permits now, so that the next room excludes them

    def _start(self, chunk: list[SendJob], claimed: Claimed, started_ns: int) -> None:
        for verdict, count in Counter(claimed.answers[_key(job)].verdict for job in chunk).items():
            metrics.SENDER_CLAIMS.labels(verdict.value).inc(count)
        for job in chunk:
            key = _key(job)
            answer = claimed.answers[key]
            if published_by := self._published_by.get(key):
                record_claim(job, answer, started_ns, published_by)
            if answer.verdict in OWNED:
                self._failures.has_claimed = True
                is_probe = answer.verdict is ClaimResult.PROBE
                work = self._sends.send(job, claimed.claims[key], claimed.issued_at, is_probe=is_probe)
            elif answer.event is not None:
                refused = UnpublishedOutcome(job.recipient_id, job.attempt, answer.verdict.value, answer.event)
                work = self._outbox.publish(refused)
            else:
                self._window.give_back()
                continue
            self._tasks.create_task(work).add_done_callback(self._done)

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._window.give_back()

    async def _unless_closed(self) -> None:
        """Raise Unfinished after the grace, once the sends in flight have ended, because the process ends then."""
        if self._is_closed():
            await self._window.empty()
        self._raise_if_closed()

    def _raise_if_closed(self) -> None:
        if self._is_closed():
            raise Unfinished("the rest of a batch is left to the next process")

    def _is_closed(self) -> bool:
        return self._closes_at is not None and time.monotonic() > self._closes_at

    async def _decoded(self, records: Sequence[Record]) -> list[SendJob]:
        """Distinct jobs in id order. Malformed records are dead-lettered.

        Raises TooManyDeadLetters once the sends in flight have ended, because a halted stage must hold no open claim.
        """
        jobs: dict[Key, SendJob] = {}
        dead: list[DeadItem] = []
        self._published_by = {}
        for record in records:
            job = decoded(SendJob, record)
            if isinstance(job, DeadItem):
                dead.append(job)
                continue
            key = _key(job)
            jobs[key] = job
            if published_by := TRACES.place(record.headers):
                self._published_by[key] = published_by
        try:
            await self._dead_letters.publish(dead, len(records), is_divisible=len(records) > 1)
        except TooManyDeadLetters:
            await self._window.empty()
            raise
        return sorted(jobs.values(), key=_place)


def _key(job: SendJob) -> Key:
    return (job.recipient_id, job.attempt)


def _place(job: SendJob) -> tuple[bytes, int]:
    """The place of a job in the order of the ids, as Postgres orders them. Bytes compare faster than UUIDs."""
    return (job.recipient_id.bytes, job.attempt)
