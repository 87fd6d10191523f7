"""The life of one claimed attempt: permit, fresh claim, post, outcome. It always ends with an outcome in the ledger.

Before EVERY post the rate permit comes first and the renewal second, so that the permission to post is at most a second
and a half old when the request leaves (`freshness` has the rule). A throttled message was surely not sent, so it is
posted again under the same attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, assert_never

from domain.backoff import exponential, scaled_s
from domain.error_codes import ThrottleScope
from domain.outcomes import Outcome, Rejected, Throttled
from domain.signals import NO_SIGNALS, Signals, at_number, signals_of
from runtime import metrics
from runtime.tracing import now_ns
from schemas.events import EventKind
from schemas.jobs import SendJob
from schemas.reasons import FailureReason
from streams.sender.claims import Claims
from streams.sender.events import Events, FinalOutcome, settlement
from streams.sender.failures import Failures
from streams.sender.freshness import LATE_RENEWALS_MAX_S, Forbidden, Fresh, Freshness, Permission, TooLate
from streams.sender.gate import Gate
from streams.sender.outbox import Outbox
from streams.sender.spans import record_post
from streams.sender.trouble import Trouble
from tables.ledger import Claim, ClaimAnswer, ClaimResult, UnpublishedOutcome

THROTTLED_MAX_S = 60.0
"""A message that is throttled for longer is deferred, so that its slot serves others."""
DEFERRAL_BASE_S, DEFERRAL_CAP_S = 60.0, 3600.0
"""62 attempts of an hour each outlast any outage."""
DRAIN_WAIT_S = 2.0
"""A process that stops still waits so long for a permit; a message that would wait longer is deferred."""
TROUBLE_WAIT_S = 1.0
"""Between two signs of life, in seconds, while a message waits until a trouble is settled."""
PAIR_FACTOR, PAIR_CAP_S = 4.0, 600.0
"""Meta's advice for one sender and one recipient: wait 4^n seconds after the n-th throttle, from n = 0."""


class Poster(Protocol):
    """What a send needs of the Cloud API."""

    async def post(self, job: SendJob, callback_data: str) -> Outcome:
        """Post once and return what the answer proves."""
        ...


@dataclass(frozen=True, slots=True)
class SendTiming:
    """Two settings: the lease of a claim in seconds, and by how much tests and demos shorten days."""

    lease_s: float
    time_scale: float


class Sends:
    """Carries claimed attempts to their outcomes. One instance serves all sends of a process.

    `clock`: seconds since boot. `now`: the wall clock. `progressed`: called when a send progresses or waits by intent.
    """

    def __init__(
        self,
        *,
        claims: Claims,
        gate: Gate,
        api: Poster,
        outbox: Outbox,
        timing: SendTiming,
        callback_data: Callable[[SendJob], str],
        clock: Callable[[], float],
        failures: Failures,
        own_tokens: frozenset[str] = frozenset(),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self.draining = asyncio.Event()
        """Set at the stop: a message that waits for a throttle is deferred instead."""
        self._gate = gate
        self._api = api
        self._outbox = outbox
        self._time_scale = timing.time_scale
        self._callback_data = callback_data
        self._clock = clock
        self._failures = failures
        self._own_tokens = own_tokens
        self._now = now
        self._progressed = progressed
        self._trouble = Trouble(clock)
        self._events = Events(time_scale=timing.time_scale, now=now, clock=clock)
        self._freshness = Freshness(
            claims, lease_s=timing.lease_s, clock=clock, draining=self.draining, progressed=progressed
        )

    async def send(self, job: SendJob, claim: Claim, issued_at: float, *, is_probe: bool = False) -> None:
        """Carry one attempt to its outcome. `issued_at`: when its claim was issued, in seconds since boot.

        `is_probe`: the message is the probe of an open breaker.
        """
        throttled_at: float | None = None
        throttles = 0
        pair_s = 0.0
        while True:
            match await self._permission(job, claim, issued_at, pair_s):
                case TooLate():
                    rest_s = 0.0 if self.draining.is_set() else _patience_s(job)
                    await self._defer(job, claim, max(rest_s, pair_s, self._gate.held_s(job.phone_number_id)))
                    return
                case Forbidden(answer):
                    await self._end_unsent(job, claim, answer)
                    return
                case Fresh(issued_at):
                    outcome = await self._post(job)
                case permission:
                    assert_never(permission)
            self._progressed()
            if not isinstance(outcome, Throttled):
                await self._settle(job, claim, outcome, is_probe=is_probe)
                return
            wait_s = self._throttle_s(job, outcome, throttles)
            throttles += 1
            metrics.SENDER_OUTCOMES.labels("throttled").inc()
            throttled_at = self._clock() if throttled_at is None else throttled_at
            if self._clock() - throttled_at + wait_s > THROTTLED_MAX_S:
                await self._defer(job, claim, max(wait_s, _patience_s(job)), self._signals(job, outcome))
                return
            pair_s = wait_s if outcome.scope is ThrottleScope.RECIPIENT else 0.0  # the others wait for their brake

    async def give_up(self, job: SendJob, claim: Claim) -> None:
        """End a claimed attempt without a post, because each process that took its job ended."""
        event = self._events.of_outcome(job, Rejected(None, FailureReason.ENDED_SENDERS))
        metrics.SENDER_OUTCOMES.labels(event.kind.value).inc()
        await self._outbox.settle(settlement(claim, event))

    async def _permission(self, job: SendJob, claim: Claim, issued_at: float, pair_s: float) -> Permission:
        """Wait for the throttled pair, then for the rate permit, then ensure that the claim is fresh."""
        permission = await self._freshness.wait(claim, issued_at, pair_s, 0.0)
        while isinstance(permission, Fresh):
            wait_s, is_permit = self._gate.reserve(job.phone_number_id)
            permission = await self._freshness.wait(claim, permission.issued_at, wait_s, DRAIN_WAIT_S)
            if isinstance(permission, Fresh) and not is_permit:
                permission = await self._freshness.keep(claim, permission.issued_at)
            # A brake that was pulled while we waited for the permit holds this post too.
            if isinstance(permission, Fresh) and is_permit and self._gate.held_s(job.phone_number_id) <= 0:
                return await self._informed(job, claim, permission.issued_at)
        return permission

    async def _informed(self, job: SendJob, claim: Claim, issued_at: float) -> Permission:
        """Ensure that the claim is fresh, and that it knows every trouble that this sender has been answered so far."""
        number, started_at = job.phone_number_id, self._clock()
        waiting = set(self._trouble.pending(number))
        while waiting:
            if self.draining.is_set() or self._clock() - started_at > LATE_RENEWALS_MAX_S:
                return TooLate()
            _, waiting = await asyncio.wait(waiting, timeout=TROUBLE_WAIT_S)
            self._progressed()
        return await self._freshness.ensure(claim, issued_at, since=self._trouble.settled_at(number))

    async def _post(self, job: SendJob) -> Outcome:
        started, started_ns = time.perf_counter(), now_ns()
        with self._gate.posting() as ended:
            outcome = await self._api.post(job, self._callback_data(job))
            ended(outcome)
        metrics.SENDER_POST_SECONDS.observe(time.perf_counter() - started)
        record_post(job, outcome, started_ns)
        return outcome

    def _throttle_s(self, job: SendJob, outcome: Throttled, throttles: int) -> float:
        """Seconds to wait before the same message is posted again. Pulls the brake of the answer's scope."""
        match outcome:
            case Throttled(scope=ThrottleScope.RECIPIENT, retry_after_s=retry_after_s):
                pair_s = exponential(throttles + 1, base_s=1.0, factor=PAIR_FACTOR, cap_s=PAIR_CAP_S)
                return max(pair_s, retry_after_s or 0.0)
            case Throttled(scope=scope, retry_after_s=retry_after_s):
                return self._gate.throttled(job.phone_number_id, scope, retry_after_s)
            case _:
                assert_never(outcome)

    async def _end_unsent(self, job: SendJob, claim: Claim, answer: ClaimAnswer) -> None:
        """End an attempt whose claim Postgres refused to renew: it was surely not sent."""
        metrics.SENDER_OUTCOMES.labels(answer.verdict.value).inc()
        self._progressed()
        if answer.event is not None:
            refused = UnpublishedOutcome(claim.recipient_id, claim.attempt, answer.verdict.value, answer.event)
            await self._outbox.publish(refused)
        elif answer.verdict in (ClaimResult.EXPIRED, ClaimResult.LOST):
            # The lease is over, or the sweep came before the renewal. The ledger accepts this settlement only over no
            # outcome and over the sweep's `unknown`, so a claim that belongs to another sender stays as it is.
            event = self._events.event(job, EventKind.EXPIRED, not_before=self._now())
            await self._outbox.settle(settlement(claim, event))

    async def _defer(self, job: SendJob, claim: Claim, wait_s: float, signals: Signals = NO_SIGNALS) -> None:
        metrics.SENDER_OUTCOMES.labels("deferred").inc()
        until = self._now() + timedelta(seconds=scaled_s(wait_s, self._time_scale))
        event = self._events.event(job, EventKind.DEFERRED, not_before=until)
        with self._trouble.settling(job.phone_number_id, signals):
            await self._outbox.settle(settlement(claim, event, signals))

    async def _settle(self, job: SendJob, claim: Claim, outcome: FinalOutcome, *, is_probe: bool) -> None:
        self._gate.answered(job.phone_number_id)
        signals = self._signals(job, outcome)
        settled = self._events.settlement_of(job, claim, outcome, signals, is_probe=is_probe)
        metrics.SENDER_OUTCOMES.labels(settled.outcome).inc()
        with self._trouble.settling(job.phone_number_id, signals):
            await self._outbox.settle(settled)
        self._failures.is_answered = True

    def _signals(self, job: SendJob, outcome: Outcome) -> Signals:
        found = signals_of(outcome)
        return at_number(found) if job.phone_number_id in self._own_tokens else found


def _patience_s(job: SendJob) -> float:
    """Seconds for which a throttled message rests: longer each time, so that a long outage does not use up attempts."""
    return exponential(job.attempt, base_s=DEFERRAL_BASE_S, cap_s=DEFERRAL_CAP_S)
