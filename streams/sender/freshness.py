"""How old the knowledge behind a post may be. This file is where "stop means stop" is kept.

A pause, a cancellation or an opt-out must hold within 2 s of its commit, for every message that has not left yet. A
sender learns of it only by asking Postgres, so each post relies on an answer of bounded age:

    issue of the claim      at most 1 s           post leaves
    or of a renewal   ──────────────────────────▶  no renewal is needed
    issue of a renewal      at most 1.5 s         post leaves
    made for this post ─────────────────────────▶  the renewal permits this post only

The age counts from the moment when the statement was ISSUED, because the database may have judged the row right after
that and the answer may have travelled ever since. Waiting for a connection of the pool comes before the issue, so it
does not age the answer. The clock is the time since boot and counts the sleep of the machine: a laptop that wakes up
must not trust what it knew in the evening.

While a claim waits (for a permit, for a throttled pair), it is renewed every quarter of its lease. Otherwise the lease
would end, the sweep would declare the attempt `unknown`, and a message that was surely not sent would need an operator.
When Postgres needs more than 1.5 s for every renewal, no post is ever permitted; after 30 s the message is deferred and
its slot serves others.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from runtime import metrics
from runtime.waiting import pause
from streams.sender.claims import Claims
from streams.sender.stage import STAGE
from tables.ledger import Claim, ClaimAnswer, ClaimResult

CLAIM_MAX_AGE_S = 1.0
"""Oldest claim or renewal (from its issue) that permits a post without a new renewal."""
RENEWAL_MAX_AGE_S = 1.5
"""Oldest renewal (from its issue) that permits the post it was made for. Keeps the 2 s guarantee for a pause."""
LATE_RENEWALS_MAX_S = 30.0
"""A message whose renewals all came later than that is deferred after this time, so that its slot serves others."""
RENEWAL_RETRY_S = 0.2
"""Pause after a renewal that Postgres did not answer."""
RENEWALS_PER_LEASE = 4
"""A waiting claim is renewed so often within its lease: three renewals may fail before the lease ends."""
LOG_EVERY_S = 10.0
"""Thousands of messages may wait for the same slow database: one log line stands for many."""

_log = structlog.get_logger(STAGE)


@dataclass(frozen=True, slots=True)
class Fresh:
    """The claim may be relied on."""

    issued_at: float
    """When the claim or its last renewal was issued, in seconds since boot."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Postgres ended the claim: nothing may be posted."""

    answer: ClaimAnswer


@dataclass(frozen=True, slots=True)
class TooLate:
    """The process stops, or Postgres answers too late: the message is deferred."""


Permission = Fresh | Forbidden | TooLate


class Freshness:
    """Keeps claims fresh. One instance serves all sends of a process; it holds no state of a single send.

    `clock`: seconds since boot. `draining`: set when the process stops. `progressed`: called whenever waiting is
    intended, so that the watchdog does not take it for a stall.
    """

    def __init__(
        self,
        claims: Claims,
        *,
        lease_s: float,
        clock: Callable[[], float],
        draining: asyncio.Event,
        progressed: Callable[[], None] = lambda: None,
    ) -> None:
        self._claims = claims
        self._lease_s = lease_s
        self._clock = clock
        self._draining = draining
        self._progressed = progressed
        self._log_late_from = 0.0

    async def wait(self, claim: Claim, issued_at: float, wait_s: float, drain_wait_s: float) -> Permission:
        """Wait, and renew the claim on the way. A stop ends the wait if more than `drain_wait_s` of it is left."""
        while wait_s > 0:
            slice_s = min(wait_s, self._lease_s / RENEWALS_PER_LEASE)
            if wait_s <= drain_wait_s:
                await asyncio.sleep(slice_s)
            elif await pause(self._draining, slice_s):
                return TooLate()
            wait_s -= slice_s
            self._progressed()
            if wait_s > 0:
                permission = await self.ensure(claim, issued_at)
                if not isinstance(permission, Fresh):
                    return permission
                issued_at = permission.issued_at
        return Fresh(issued_at)

    async def keep(self, claim: Claim, issued_at: float) -> Permission:
        """Renew the claim if a quarter of its lease has passed: it waits, in steps shorter than that."""
        is_old = self._clock() - issued_at > self._lease_s / RENEWALS_PER_LEASE
        return await self.ensure(claim, issued_at) if is_old else Fresh(issued_at)

    async def ensure(self, claim: Claim, issued_at: float, since: float = -math.inf) -> Permission:
        """Renew the claim if it is too old to post, or was issued before `since`."""
        lease_ends_at = issued_at + self._lease_s
        late_since: float | None = None
        while self._clock() - issued_at > CLAIM_MAX_AGE_S or issued_at <= since:
            if self._clock() >= lease_ends_at:
                return Forbidden(ClaimAnswer(ClaimResult.EXPIRED))
            renewed = await self._claims.renew(claim)
            # A late answer is progress. If the watchdog ended the process now, unsent messages would become `unknown`.
            self._progressed()
            if renewed.answer is None:
                await asyncio.sleep(RENEWAL_RETRY_S)
                continue
            if renewed.answer.verdict is not ClaimResult.RENEWED:
                return Forbidden(renewed.answer)
            issued_at = renewed.issued_at
            lease_ends_at = issued_at + self._lease_s
            age_s = self._clock() - issued_at
            if age_s <= RENEWAL_MAX_AGE_S:
                return Fresh(issued_at)
            self._log_late(age_s)
            late_since = self._clock() if late_since is None else late_since
            if self._draining.is_set() or self._clock() - late_since > LATE_RENEWALS_MAX_S:
                return TooLate()
        return Fresh(issued_at)

    def _log_late(self, age_s: float) -> None:
        metrics.RETRIES.labels(STAGE).inc()
        if self._clock() >= self._log_late_from:
            self._log_late_from = self._clock() + LOG_EVERY_S
            _log.warning(
                "Postgres renews claims too late, so nothing is posted",
                renewal_age_s=round(age_s, 1),
                limit_s=RENEWAL_MAX_AGE_S,
            )
