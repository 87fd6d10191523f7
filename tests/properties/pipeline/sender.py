"""The moves of a sender with one job at a time. The sender may freeze before each move, and die after it.

A sender is frozen if time passes while it has a job. Between two moves it remembers only the state that a real process
remembers. The order of the moves is that of streams/sender/intake.py and streams/sender/sends.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from domain.breakers import Signal
from schemas.events import EventKind, Failure, RecipientEvent
from schemas.model import Wamid
from tests.properties.pipeline.laws import FRESH_S
from tests.properties.pipeline.world import HELD_BACK, LEASE_S, PERMANENT, STOPPED, TRANSIENT, Job, Move, World

THROTTLE_WAIT_S = 5.0
THROTTLED_MAX_S = 60.0
THROTTLES_MAX = 2
"""The limit of throttled answers for one job."""

ANSWERS = ("accepted", "accepted without id", "accepted, answer lost", "never received", "rejected for now",
           "rejected for good", "held back", "token refused", "throttled")  # fmt: skip
LIMITED_ANSWERS = ("accepted with names", "stopped", *ANSWERS)
"""The answers of a limited walk. Two more name a person or state an opt-out."""
FAILURES: dict[str, Failure] = {
    "rejected for now": TRANSIENT, "rejected for good": PERMANENT, "held back": HELD_BACK, "stopped": STOPPED
}  # fmt: skip
OWNING = frozenset({"claim sent", "permit", "ready", "renewal sent", "renewed", "answered"})
"""The stages in which the death of a sender leaves a claim or an answer that no process can report."""


@dataclass(slots=True)
class Task:
    """The state of the sender's current job."""

    job: Job
    place: int
    token: UUID
    stage: str = "taken"
    issued_at: float | None = None
    requested_at: float = 0.0
    lease_ends_at: float = 0.0
    throttled_at: float | None = None
    throttles: int = 0
    verdict: tuple[str, RecipientEvent | None] | None = None
    event: RecipientEvent | None = None
    signal: Signal = Signal.NEUTRAL
    """What the answer says about the account."""


class Sender:
    """One sender."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.task: Task | None = None

    def moves(self) -> Iterator[Move]:
        """The moves that are possible now."""
        task, world = self.task, self._world
        if task is None:
            if world.committed < len(world.jobs):
                yield Move("take", 2, self.take)
            return
        yield Move(f"die {task.stage}", 0.25, self.die)
        match task.stage:
            case "taken":
                yield Move("claim", 2, partial(self.claim, task))
            case "claim sent":
                yield Move("receive claim", 2, partial(self.receive_claim, task))
                yield Move("lose the answer to the claim", 0.3, partial(self.lose_claim, task))
            case "permit":
                yield Move("permit", 2, partial(self._to, task, "ready"))
                yield Move("defer at the stop", 0.1, partial(self.defer, task))
            case "ready":
                yield from self._moves_before_the_post(task)
            case "renewal sent":
                yield Move("renewal runs", 2, partial(self.run_renewal, task))
                yield Move("renewal does not arrive", 0.2, partial(self._to, task, "ready"))
            case "renewed":
                yield Move("receive renewal", 2, partial(self.receive_renewal, task))
                yield Move("lose the answer to the renewal", 0.3, partial(self._to, task, "ready"))
            case "answered":
                yield Move("settle", 2, partial(self.settle, task))
                yield Move("settle, answer lost", 0.2, partial(self.settle, task, is_answered=False))
            case "publish":
                yield Move("publish", 2, partial(self.publish, task))
            case _:
                yield Move("mark", 2, partial(self.mark, task))

    def _moves_before_the_post(self, task: Task) -> Iterator[Move]:
        if not self._is_fresh(task):
            yield Move("renew", 2, partial(self.renew, task))
            return
        answers = LIMITED_ANSWERS if self._world.is_limited else ANSWERS
        for answer in answers[: None if task.throttles < THROTTLES_MAX else -1]:
            yield Move(f"post: {answer}", 0.4, partial(self.post, task, answer))

    def live(self, patience: int = 12) -> None:
        """Make the first possible move repeatedly, without a failure, until no work is left."""
        for _ in range(patience):
            first = next((move for move in self.moves() if not move.name.startswith("die")), None)
            if first is None:
                return
            first.act()

    def die(self) -> None:
        """The process dies and loses its state."""
        is_claiming = self.task is not None and self.task.stage == "taken" and self.task.issued_at is not None
        if self.task is not None and (self.task.stage in OWNING or is_claiming):
            self._world.excused.add(self.task.job.key)
        self.task = None

    def take(self) -> None:
        """Read a job. Another sender may read the same job until one of them has committed."""
        place = self._world.committed
        self.task = Task(self._world.jobs[place], place, self._world.token())

    def _to(self, task: Task, stage: str) -> None:
        task.stage = stage

    # ------------------------------------------------------------------------------------------------------- claim

    def claim(self, task: Task) -> None:
        """The statement reaches the database."""
        world = self._world
        task.issued_at = world.seconds if task.issued_at is None else task.issued_at
        task.verdict = world.tables.claim_attempts(task.job.key, task.token, task.job.send_before, LEASE_S, world.now)
        task.stage = "claim sent"

    def lose_claim(self, task: Task) -> None:
        """The answer is lost. The sender claims again with the same token."""
        task.stage = "taken"
        if not self._world.rules.token:
            task.token = self._world.token()

    def receive_claim(self, task: Task) -> None:
        """The verdict arrives. Only now the batch is acknowledged."""
        world = self._world
        assert task.issued_at is not None, "a claim was sent"
        world.committed = max(world.committed, task.place + 1)
        if not world.rules.issue:
            task.issued_at = world.seconds
        task.lease_ends_at = task.issued_at + LEASE_S
        self._follow_verdict(task, "permit" if task.verdict and task.verdict[0] in ("claimed", "probe") else None)

    def _follow_verdict(self, task: Task, next_stage: str | None) -> None:
        """Continue with the next stage, publish the event of the refusal, or drop the job."""
        assert task.verdict is not None, "there is a verdict"
        if next_stage is not None:
            task.stage = next_stage
        elif task.verdict[1] is not None:
            task.event, task.stage = task.verdict[1], "publish"
        else:
            self.task = None

    # -------------------------------------------------------------------------------------------------------- post

    def _is_fresh(self, task: Task) -> bool:
        assert task.issued_at is not None, "a claim was sent"
        return self._world.seconds - task.issued_at <= FRESH_S or not self._world.rules.fresh

    def renew(self, task: Task) -> None:
        """Request a renewal, or expire a claim after its lease."""
        if self._world.seconds >= task.lease_ends_at:
            self._expire(task)
            return
        task.requested_at, task.stage = self._world.seconds, "renewal sent"

    def run_renewal(self, task: Task) -> None:
        """The statement reaches the database."""
        task.verdict = self._world.tables.renew_claims(task.job.key, task.token, LEASE_S, self._world.now)
        task.stage = "renewed"

    def receive_renewal(self, task: Task) -> None:
        """The verdict arrives."""
        assert task.verdict is not None, "a renewal was sent"
        if task.verdict[0] == "renewed":
            task.issued_at = task.requested_at
            task.lease_ends_at = task.requested_at + LEASE_S
        if task.verdict[0] == "lost" and self._world.rules.lost:
            self._expire(task)
            return
        self._follow_verdict(task, "ready" if task.verdict[0] == "renewed" else None)

    def _expire(self, task: Task) -> None:
        self._answered(task, EventKind.EXPIRED, not_before=self._world.now)

    def post(self, task: Task, answer: str) -> None:
        """Send one request. Its answer decides the next stage."""
        world, key = self._world, task.job.key
        world.post(key, is_received=answer not in ("never received", "token refused", "throttled"))
        wamid = Wamid(f"wamid.{key[0].int}.{key[1]}")
        if answer.startswith("accepted"):
            world.accepted[key] = wamid
        if answer == "throttled":
            self._throttled(task)
        elif answer in ("accepted, answer lost", "never received"):
            world.excused.add(key)
            self._answered(task, EventKind.UNKNOWN)
        elif answer == "token refused":
            task.signal = Signal.HUMAN
            self._answered(task, EventKind.DEFERRED, not_before=world.now + timedelta(seconds=THROTTLE_WAIT_S))
        elif answer in FAILURES:
            self._answered(task, EventKind.REJECTED, failure=FAILURES[answer])
        else:
            task.signal = Signal.GOOD
            also = [world.user_id_of(key[0])] if answer == "accepted with names" else None
            is_named = answer != "accepted without id"
            self._answered(task, EventKind.ACCEPTED, wamid=wamid if is_named else None, also_known_as=also)

    def _throttled(self, task: Task) -> None:
        now = self._world.seconds
        task.throttled_at = now if task.throttled_at is None else task.throttled_at
        task.throttles += 1
        if now - task.throttled_at + THROTTLE_WAIT_S > THROTTLED_MAX_S:
            self.defer(task)
        else:
            task.stage = "permit"

    def defer(self, task: Task) -> None:
        """Defer the attempt: it was certainly not sent, and a later attempt follows."""
        self._answered(task, EventKind.DEFERRED, not_before=self._world.now + timedelta(seconds=THROTTLE_WAIT_S))

    # ----------------------------------------------------------------------------------------------------- outcome

    def _answered(self, task: Task, kind: EventKind, **more: Any) -> None:
        task.event = self._world.event(kind, task.job.key, **more)
        task.stage = "answered"

    def settle(self, task: Task, *, is_answered: bool = True) -> None:
        """Write the answer to the ledger. Without an answer of the database, the sender tries again."""
        assert task.event is not None, "there is an answer"
        is_written = self._world.tables.settle_attempts(
            task.job.key, task.token, task.event, self._world.now, task.signal
        )
        if not is_answered:
            return
        task.stage = "publish"
        if not is_written:
            self.task = None

    def publish(self, task: Task) -> None:
        """Publish the event."""
        assert task.event is not None, "there is an outcome"
        self._world.publish_event(task.event)
        task.stage = "mark"

    def mark(self, task: Task) -> None:
        """Mark the event as published."""
        assert task.event is not None, "there is an outcome"
        self._world.tables.mark_published(task.job.key, task.event.kind.value)
        self.task = None
