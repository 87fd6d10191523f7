"""The life of one claimed attempt: permit, renewal, post, outcome. It ends with an outcome in the ledger, always.

Before EVERY post the permit comes first and the renewal second, so that what the database said is old by a second and a
half at most when the request leaves. A throttled message surely was not sent, so it goes again under the same attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, assert_never

import structlog

from domain import error_codes
from domain.backoff import exponential, scaled_s
from domain.error_codes import SCOPE_WIDE, ThrottleScope
from domain.outcomes import Accepted, NotSent, Outcome, Rejected, Throttled, UnknownOutcome
from runtime import metrics
from runtime.logs import mask_phone
from schemas.codec import PRODUCER
from schemas.events import EventKind, Failure, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import Wamid
from streams.sender.claims import Claims
from streams.sender.gate import Gate
from streams.sender.outbox import Outbox
from tables.ledger import Claim, ClaimAnswer, ClaimResult, Settlement, UnpublishedOutcome

FRESH_S = 1.0
"""A claim or renewal issued longer ago is renewed before a post."""
RELIED_ON_S = 1.5
"""A renewal answered so long after its issue still carries the post that asked for it: a stop holds within 2 s."""
LATE_MAX_S = 30.0
"""Where every answer comes later than that for so long, the message is deferred, and gives its slot to others."""
THROTTLED_MAX_S = 60.0
"""A message that was throttled for longer is deferred, and gives its slot to others."""
DEFERRAL_BASE_S, DEFERRAL_CAP_S = 60.0, 3600.0
"""62 attempts of an hour each outlast any outage."""
RENEWAL_PAUSE_S = 0.2
DRAIN_WAIT_S = 2.0
"""A process that stops still waits so long for a permit; what would wait longer is deferred."""
TOLD_EVERY_S = 10.0
"""A template, a number or an account fails thousands of messages: one line for many."""
PAIR_FACTOR, PAIR_CAP_S = 4.0, 600.0
"""Meta's advice for one sender and one recipient: wait 4^n seconds after the n-th throttle, from n = 0."""

_log = structlog.get_logger("sender")


class Poster(Protocol):
    """What a send needs of the Cloud API."""

    async def post(self, job: SendJob, callback_data: str) -> Outcome:
        """Send once, and say what the answer proves."""
        ...


@dataclass(frozen=True, slots=True)
class SendTiming:
    """The numbers of the settings that a send reads."""

    lease_s: float
    time_scale: float


class Sends:
    """Carries claimed attempts to their outcomes. One instance for all sends of a process."""

    def __init__(
        self,
        *,
        claims: Claims,
        gate: Gate,
        api: Poster,
        outbox: Outbox,
        knobs: SendTiming,
        callback_data: Callable[[SendJob], str],
        clock: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._claims = claims
        self._gate = gate
        self._api = api
        self._outbox = outbox
        self._knobs = knobs
        self._callback_data = callback_data
        self._clock = clock
        self._now = now
        self._progressed = progressed
        self._told_again_at: dict[int | None, float] = {}
        self._told_late_at = -TOLD_EVERY_S
        self.draining = asyncio.Event()
        """Set at the stop: what waits for a throttle is deferred instead."""

    async def send(self, job: SendJob, claim: Claim, issued_at: float) -> None:
        """Carry one attempt to its outcome."""
        throttled_at: float | None = None
        throttles = 0
        pair_s = 0.0
        while True:
            permit = await self._permitted(job, claim, issued_at, pair_s)
            if permit is None:
                rest_s = 0.0 if self.draining.is_set() else self._patience_s(job)
                await self._defer(job, claim, max(rest_s, pair_s, self._gate.held_s(job.phone_number_id)))
                return
            if isinstance(permit, ClaimAnswer):
                await self._stopped_before_post(job, claim, permit)
                return
            issued_at = permit
            outcome = await self._post(job)
            self._progressed()
            wait_s = self._wait_after(job, outcome, throttles)
            if wait_s is None:
                await self._settle(job, claim, outcome)
                return
            throttles += 1
            metrics.SENDER_OUTCOMES.labels("throttled").inc()
            throttled_at = self._clock() if throttled_at is None else throttled_at
            if self._clock() - throttled_at + wait_s > THROTTLED_MAX_S:
                await self._defer(job, claim, max(wait_s, self._patience_s(job)))
                return
            is_pair = isinstance(outcome, Throttled) and outcome.scope is ThrottleScope.RECIPIENT
            pair_s = wait_s if is_pair else 0.0  # other scopes wait for their brake

    async def _permitted(
        self, job: SendJob, claim: Claim, issued_at: float, pair_s: float
    ) -> float | ClaimAnswer | None:
        """Wait for the pair, then for the rate permit; then make sure that the claim is fresh.

        Returns when the claim to rely on was issued, the answer that forbids the post, or None: it cannot be made sure
        in time, or the process stops.
        """
        kept = await self._kept(claim, issued_at, pair_s, 0.0)
        while isinstance(kept, float):
            wait_s, is_permit = self._gate.reserve(job.phone_number_id)
            kept = await self._kept(claim, kept, wait_s, DRAIN_WAIT_S)
            if isinstance(kept, float) and is_permit and self._gate.held_s(job.phone_number_id) <= 0:
                return await self._fresh(claim, kept)
        return kept

    async def _kept(
        self, claim: Claim, issued_at: float, wait_s: float, drain_wait_s: float
    ) -> float | ClaimAnswer | None:
        """Wait, renewing the claim on the way: what surely was not sent must not outlive its lease and be `unknown`.

        Returns when the claim was issued last, the answer that ended it, or None: the process stops and has no time
        for the rest of the wait, or Postgres answers too late.
        """
        while wait_s > 0:
            slice_s = min(wait_s, self._knobs.lease_s / 4)
            if wait_s <= drain_wait_s:
                await asyncio.sleep(slice_s)
            elif not await self._waited(slice_s):
                return None
            wait_s -= slice_s
            self._progressed()  # we wait on purpose: that is no stall
            if wait_s > 0:
                kept = await self._fresh(claim, issued_at)
                if not isinstance(kept, float):
                    return kept
                issued_at = kept
        return issued_at

    async def _fresh(self, claim: Claim, issued_at: float) -> float | ClaimAnswer | None:
        """When the claim that a post may rely on was issued; the answer that forbids the post; None: answers come late.

        A Postgres that answers, but too late to rely on, must not hold a slot for ever.
        """
        lease_ends_at = issued_at + self._knobs.lease_s
        late_since: float | None = None
        while self._clock() - issued_at > FRESH_S:
            if self._clock() >= lease_ends_at:
                return ClaimAnswer(ClaimResult.EXPIRED)
            renewed = await self._claims.renew(claim)
            # An answer that took longer than a post may rely on it is no stall: ended now, what surely was not sent
            # would count as unknown.
            self._progressed()
            if renewed.answer is None:
                await asyncio.sleep(RENEWAL_PAUSE_S)
                continue
            if renewed.answer.verdict is not ClaimResult.RENEWED:
                return renewed.answer
            issued_at = renewed.issued_at
            lease_ends_at = issued_at + self._knobs.lease_s
            age_s = self._clock() - issued_at
            if age_s <= RELIED_ON_S:
                return issued_at
            self._tell_late(age_s)
            late_since = self._clock() if late_since is None else late_since
            if self.draining.is_set() or self._clock() - late_since > LATE_MAX_S:
                return None
        return issued_at

    def _tell_late(self, age_s: float) -> None:
        metrics.RETRIES.labels("sender").inc()
        if self._clock() >= self._told_late_at + TOLD_EVERY_S:
            self._told_late_at = self._clock()
            _log.warning("Postgres renews too late to post", seconds=round(age_s, 1), limit_s=RELIED_ON_S)

    async def _stopped_before_post(self, job: SendJob, claim: Claim, answer: ClaimAnswer) -> None:
        metrics.SENDER_OUTCOMES.labels(answer.verdict.value).inc()
        self._progressed()
        if answer.event is not None:
            outboxed = UnpublishedOutcome(claim.recipient_id, claim.attempt, answer.verdict.value, answer.event)
            await self._outbox.publish(outboxed)
        elif answer.verdict in (ClaimResult.EXPIRED, ClaimResult.LOST):
            # The lease is over, or the sweep was faster than the renewal: surely nothing was sent. The ledger takes it
            # over nothing and over the sweep's `unknown` only, so a claim that is not ours any more stays as it is.
            event = self._event(job, EventKind.EXPIRED, not_before=self._now())
            await self._outbox.settle(_settlement(claim, event))

    async def _post(self, job: SendJob) -> Outcome:
        started = time.perf_counter()
        outcome = await self._api.post(job, self._callback_data(job))
        metrics.SENDER_POST_SECONDS.observe(time.perf_counter() - started)
        return outcome

    def _wait_after(self, job: SendJob, outcome: Outcome, throttles: int) -> float | None:
        """Seconds to wait before the same message goes again; None: the outcome is final."""
        match outcome:
            case Throttled(scope=ThrottleScope.RECIPIENT, retry_after_s=retry_after_s):
                pair_s = exponential(throttles + 1, base_s=1.0, factor=PAIR_FACTOR, cap_s=PAIR_CAP_S)
                return max(pair_s, retry_after_s or 0.0)
            case Throttled(scope=scope, retry_after_s=retry_after_s):
                return self._gate.throttled(job.phone_number_id, scope, retry_after_s)
            case NotSent():
                return self._gate.throttled(job.phone_number_id, ThrottleScope.ACCOUNT, None)
            case Accepted() | Rejected() | UnknownOutcome():
                self._gate.answered(job.phone_number_id)
                return None
            case _:
                assert_never(outcome)

    async def _waited(self, wait_s: float) -> bool:
        """Wait, less than a lease; False when the process began to stop meanwhile."""
        try:
            await asyncio.wait_for(self.draining.wait(), wait_s)
        except TimeoutError:
            return True
        return False

    def _patience_s(self, job: SendJob) -> float:
        """How long a throttled message rests: longer each time, so that an outage of days does not use up attempts."""
        return exponential(job.attempt, base_s=DEFERRAL_BASE_S, cap_s=DEFERRAL_CAP_S)

    async def _defer(self, job: SendJob, claim: Claim, wait_s: float) -> None:
        metrics.SENDER_OUTCOMES.labels("deferred").inc()
        until = self._now() + timedelta(seconds=scaled_s(wait_s, self._knobs.time_scale))
        await self._outbox.settle(_settlement(claim, self._event(job, EventKind.DEFERRED, not_before=until)))

    async def _settle(self, job: SendJob, claim: Claim, outcome: Outcome) -> None:
        event = self._final_event(job, outcome)
        metrics.SENDER_OUTCOMES.labels(event.kind.value).inc()
        await self._outbox.settle(_settlement(claim, event))

    def _final_event(self, job: SendJob, outcome: Outcome) -> RecipientEvent:
        match outcome:
            case Accepted(wamid=wamid, held=held):
                return self._event(
                    job, EventKind.ACCEPTED, wamid=Wamid(wamid) if wamid else None, held_for_quality=held
                )
            case Rejected():
                return self._event(job, EventKind.REJECTED, failure=self._failure(job, outcome))
            case UnknownOutcome(reason=reason):
                _log.warning("outcome unknown", reason=reason, to=mask_phone(job.phone_number), attempt=job.attempt)
                return self._event(job, EventKind.UNKNOWN)
            case _:
                raise AssertionError(f"{type(outcome).__name__} is no final outcome")

    def _failure(self, job: SendJob, rejected: Rejected) -> Failure:
        kind = error_codes.error_class(rejected.code, transient_hint=rejected.transient_hint)
        if kind in SCOPE_WIDE and self._clock() >= self._told_again_at.get(rejected.code, 0.0):
            self._told_again_at[rejected.code] = self._clock() + TOLD_EVERY_S
            _log.error("every message of this scope fails", scope=kind.value, code=rejected.code)
        return error_codes.failure(
            rejected.code,
            rejected.reason,
            attempt=job.attempt,
            from_webhook=False,
            time_scale=self._knobs.time_scale,
            transient_hint=rejected.transient_hint,
        )

    def _event(self, job: SendJob, kind: EventKind, **more: Any) -> RecipientEvent:
        now = self._now()
        return RecipientEvent(
            producer=PRODUCER,
            kind=kind,
            campaign_id=job.campaign_id,
            recipient_id=job.recipient_id,
            attempt=job.attempt,
            phone_number_id=job.phone_number_id,
            occurred_at=now,
            received_at=now,
            **more,
        )


def _settlement(claim: Claim, event: RecipientEvent) -> Settlement:
    return Settlement(claim, event.kind.value, event.model_dump_json(exclude_none=True), event.wamid)
