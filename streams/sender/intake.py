"""Where jobs become claims: decoding, distinct jobs in id order, as many claims as there are free slots.

The claim is the durable effect, so a batch may be acknowledged after it, and sending goes on in a bounded window:
slow answers hold up only themselves. Nothing here posts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from runtime import metrics
from runtime.logs import mask_text
from runtime.process import Transient
from schemas.codec import PRODUCER, Malformed, decode
from schemas.dead_letters import DeadLetter
from schemas.jobs import SendJob
from schemas.reasons import DeadLetterReason
from schemas.topics import dead_letters_of
from streams.sender.claims import Claimed, Claims
from streams.sender.gate import Gate
from streams.sender.outbox import Outbox, Publisher
from streams.sender.sends import Sends
from streams.sender.stage import STAGE
from tables.ledger import ClaimResult, UnpublishedOutcome
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from topics.publisher import Outgoing

BACKLOG_S = 0.4
"""No more is claimed than permits can be given for within this: most posts then need no renewal, and a kill leaves
little that was claimed and never posted."""
BACKLOG_PAUSE_S = 0.02

GRACE_S = 5.0
"""A batch in hand at the stop may still be claimed for so long."""

_log = structlog.get_logger(STAGE)


class Unfinished(Transient):
    """The process stops with a batch in hand that could not be claimed in time."""


class RawRecord(Protocol):
    """A record of `send.jobs` as it was read."""

    @property
    def key(self) -> bytes | None:
        """The recipient."""
        ...

    @property
    def value(self) -> bytes | None:
        """The job as JSON."""
        ...

    @property
    def partition(self) -> int:
        """Where it was read."""
        ...

    @property
    def offset(self) -> int:
        """Where it was read."""
        ...


class Window:
    """Slots for sends in flight. Whoever waits gets as many as are free, and at least one."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._changed = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Slots in use."""
        return self._size - self._free

    async def take(self, wanted: int) -> int:
        """Take between one and `wanted` slots, waiting for the first."""
        while self._free == 0:
            await self._wait()
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
    """Batches of jobs in, claimed sends out. `tasks` is the group that the sends live in."""

    def __init__(
        self,
        *,
        claims: Claims,
        gate: Gate,
        sends: Sends,
        outbox: Outbox,
        window: Window,
        tasks: asyncio.TaskGroup,
        publisher: Publisher,
        jobs_topic: str,
        limit: DeadLetterLimit,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._claims = claims
        self._gate = gate
        self._sends = sends
        self._outbox = outbox
        self._window = window
        self._tasks = tasks
        self._publisher = publisher
        self._jobs_topic = jobs_topic
        self._limit = limit
        self._progressed = progressed
        self._closes_at: float | None = None

    def close(self, grace_s: float = GRACE_S) -> None:
        """The process stops: finish the batch in hand within the grace, or leave it unacknowledged."""
        self._closes_at = time.monotonic() + grace_s

    async def take(self, records: Sequence[RawRecord]) -> None:
        """Claim or refuse every job of a batch; returns when that is durable, so that the batch may be acknowledged."""
        jobs = await self._decoded(records)
        while jobs:
            await self._unless_closed()
            room = await self._rate_allows(jobs[0].phone_number_id)
            slots = await self._window.take(min(len(jobs), room))
            try:
                chunk, jobs = jobs[:slots], jobs[slots:]
                claimed = await self._claims.claim(chunk)
            except BaseException:
                self._window.give_back(slots)
                raise
            self._progressed()
            self._start(chunk, claimed)
            await asyncio.sleep(0)  # they reserve their permits first, so that the next room is without them

    def _start(self, chunk: list[SendJob], claimed: Claimed) -> None:
        for job in chunk:
            key = (job.recipient_id, job.attempt)
            answer = claimed.answers[key]
            metrics.SENDER_CLAIMS.labels(answer.verdict.value).inc()
            if answer.verdict is ClaimResult.CLAIMED:
                work = self._sends.send(job, claimed.claims[key], claimed.issued_at)
            elif answer.event is not None:
                refused = UnpublishedOutcome(job.recipient_id, job.attempt, answer.verdict.value, answer.event)
                work = self._outbox.publish(refused)
            else:
                self._window.give_back()
                continue
            self._tasks.create_task(work).add_done_callback(self._done)
        metrics.SENDER_IN_FLIGHT.set(self._window.in_flight)

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._window.give_back()
        metrics.SENDER_IN_FLIGHT.set(self._window.in_flight)

    async def _rate_allows(self, phone_number_id: str) -> int:
        """Wait until the rate has room for a claim, and return for how many."""
        while (room := self._gate.room(phone_number_id, BACKLOG_S)) < 1:
            await self._unless_closed()
            self._progressed()  # we wait on purpose: that is no stall
            await asyncio.sleep(BACKLOG_PAUSE_S)
        return room

    async def _unless_closed(self) -> None:
        """Raises Unfinished after the grace, once the sends in flight are done: the end of the process cuts them."""
        if self._closes_at is not None and time.monotonic() > self._closes_at:
            await self._window.empty()
            raise Unfinished("the rest of a batch is left to the next process")

    async def _decoded(self, records: Sequence[RawRecord]) -> list[SendJob]:
        """Distinct jobs in id order, so that senders lock in one order; the malformed ones are dead-lettered."""
        jobs: dict[tuple[str, int], SendJob] = {}
        dead: list[Outgoing] = []
        for record in records:
            try:
                job = decode(SendJob, record.value)
            except Exception as error:  # noqa: BLE001 - what makes our code raise does so again in a fresh process
                reason = error.reason if isinstance(error, Malformed) else DeadLetterReason.BUG.value
                trace = None if isinstance(error, Malformed) else error
                _log.error("job dead-lettered", reason=reason, error=str(error), offset=record.offset, exc_info=trace)
                metrics.DEAD_LETTERS.labels(STAGE, reason).inc()
                said = mask_text(str(error) if trace is None else f"{type(error).__name__}: {error}")
                letter = DeadLetter(STAGE, reason, self._jobs_topic, record.partition, record.offset, error=said)
                dead.append((dead_letters_of(self._jobs_topic), record.key, record.value, letter.headers(PRODUCER)))
                continue
            jobs[str(job.recipient_id), job.attempt] = job
        await self._dead_letter(dead, len(records))
        return [jobs[key] for key in sorted(jobs)]

    async def _dead_letter(self, dead: list[Outgoing], items: int) -> None:
        """Set records aside. Raises TooManyDeadLetters, after the sends in flight: nothing is to be under way then."""
        now_s = time.monotonic()
        try:
            self._limit.require(now_s, len(dead), items)
        except TooManyDeadLetters:
            await self._window.empty()
            raise
        if dead:
            await self._publisher.publish_batch(dead)
        self._limit.add(now_s, len(dead), items)
