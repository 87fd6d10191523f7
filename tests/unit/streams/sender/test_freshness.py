"""The maximum age of a renewal at the post, and the end of a send with constantly late renewals."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import uuid4

import structlog

from streams.sender.claims import Renewed
from streams.sender.freshness import Fresh, Freshness, TooLate
from tables.ledger import Claim, ClaimAnswer, ClaimResult


@dataclass
class Renewing:
    """The renewals of one claim on their own clock. Each takes the given seconds. The last value repeats."""

    answers_after_s: list[float]
    now_s: float = 5.0
    beats: int = 0
    draining: asyncio.Event = field(default_factory=asyncio.Event)

    async def renew(self, _claim: Claim) -> Renewed:
        issued_at = self.now_s
        self.now_s += self.answers_after_s.pop(0) if len(self.answers_after_s) > 1 else self.answers_after_s[0]
        return Renewed(ClaimAnswer(ClaimResult.RENEWED), issued_at)

    def progressed(self) -> None:
        self.beats += 1

    def freshness(self) -> Freshness:
        return Freshness(
            cast("Any", self),
            lease_s=45.0,
            clock=lambda: self.now_s,
            draining=self.draining,
            progressed=self.progressed,
        )


CLAIM = Claim(uuid4(), 1, uuid4())
LATE = "Postgres renews claims too late, so nothing is posted"


async def test_slow_renewals_of_a_sender_are_progress() -> None:
    """If the watchdog took them for a stall, messages that were certainly not sent would become `unknown`."""
    renewing = Renewing([2.0, 2.0, 0.1])
    assert await renewing.freshness().ensure(CLAIM, 0.0) == Fresh(9.0)
    assert renewing.beats == 3


async def test_a_renewal_answered_within_the_time_of_a_stop_carries_a_post() -> None:
    """Otherwise, on a server that needs more than a second, every renewal would require the next one."""
    renewing = Renewing([1.4])
    assert await renewing.freshness().ensure(CLAIM, 0.0) == Fresh(5.0)
    assert renewing.beats == 1


async def test_constantly_late_renewals_free_the_slot_and_are_logged() -> None:
    """Otherwise they would fill the whole window while Postgres is late, and nothing would be logged."""
    renewing = Renewing([1.6])
    with structlog.testing.capture_logs() as logged:
        assert await renewing.freshness().ensure(CLAIM, 0.0) == TooLate()
    assert 30.0 < renewing.now_s - 5.0 < 35.0
    assert [line["event"] for line in logged] == [LATE] * 3, "one line in ten seconds"


async def test_at_the_stop_the_first_late_renewal_is_enough() -> None:
    renewing = Renewing([1.6])
    renewing.draining.set()
    assert await renewing.freshness().ensure(CLAIM, 0.0) == TooLate()
    assert renewing.beats == 1
