"""How old a renewal may be when a post relies on it, and what becomes of a send whose renewals always come late."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
import structlog

from streams.sender.claims import Claims, Renewed
from streams.sender.sends import Sends, SendTiming
from tables import ledger
from tables.ledger import Claim, ClaimAnswer, ClaimResult


@dataclass
class Renewing:
    """The renewals of one claim on a clock of their own: each is answered after so many seconds, the last for ever."""

    answers_after_s: list[float]
    now_s: float = 5.0
    beats: int = 0

    async def renew(self, _claim: Claim) -> Renewed:
        issued_at = self.now_s
        self.now_s += self.answers_after_s.pop(0) if len(self.answers_after_s) > 1 else self.answers_after_s[0]
        return Renewed(ClaimAnswer(ClaimResult.RENEWED), issued_at)

    def progressed(self) -> None:
        self.beats += 1

    def sends(self) -> Sends:
        unused: Any = None
        return Sends(
            claims=cast("Any", self),
            gate=unused,
            api=unused,
            outbox=unused,
            knobs=SendTiming(lease_s=45.0, time_scale=1.0),
            callback_data=unused,
            clock=lambda: self.now_s,
            progressed=self.progressed,
        )


CLAIM = Claim(uuid4(), 1, uuid4())


async def test_slow_renewals_of_a_sender_are_progress() -> None:
    """Ended as a stall, its process would leave as unknown what surely was not sent."""
    renewing = Renewing([2.0, 2.0, 0.1])
    assert await renewing.sends()._fresh(CLAIM, 0.0) == 9.0
    assert renewing.beats == 3


async def test_a_renewal_answered_within_the_time_of_a_stop_carries_a_post() -> None:
    """On a server that needs more than a second for each answer, every renewal would else ask for the next one."""
    renewing = Renewing([1.4])
    assert await renewing.sends()._fresh(CLAIM, 0.0) == 5.0
    assert renewing.beats == 1


async def test_renewals_that_are_always_late_free_the_slot_and_say_so() -> None:
    """They would else hold the whole window for as long as Postgres is late: senders that stand still, silently."""
    renewing = Renewing([1.6])
    with structlog.testing.capture_logs() as said:
        assert await renewing.sends()._fresh(CLAIM, 0.0) is None
    assert 30.0 < renewing.now_s - 5.0 < 35.0
    assert [line["event"] for line in said] == ["Postgres renews too late to post"] * 3, "a line in ten seconds"


async def test_at_the_stop_the_first_late_renewal_is_enough() -> None:
    renewing = Renewing([1.6])
    sends = renewing.sends()
    sends.draining.set()
    assert await sends._fresh(CLAIM, 0.0) is None
    assert renewing.beats == 1


class Waiting:
    """A pool whose connections come after two seconds, of a server that loses some answers."""

    def __init__(self) -> None:
        self.now_s = 0.0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        self.now_s += 2.0
        yield


async def test_the_wait_for_a_connection_does_not_age_a_claim_and_a_lost_answer_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is read back was judged by the first try that reached the server."""
    pool, answers_lost = Waiting(), 1

    async def claim(*_: object) -> dict[object, object]:
        nonlocal answers_lost
        pool.now_s += 0.5
        if answers_lost:
            answers_lost -= 1
            raise psycopg.OperationalError("lost")
        return {}

    async def renew(_connection: object, claims: list[Claim], _lease_s: float) -> dict[object, ClaimAnswer]:
        pool.now_s += 0.5
        return {each.key: ClaimAnswer(ClaimResult.RENEWED) for each in claims}

    monkeypatch.setattr(ledger, "claim", claim)
    monkeypatch.setattr(ledger, "renew", renew)
    claims = Claims(cast("Any", pool), lease_s=45.0, clock=lambda: pool.now_s)
    assert (await claims.claim([])).issued_at == 2.0
    assert pool.now_s == 5.0
    [renewed] = await claims._renew_round([CLAIM])
    assert renewed.issued_at == 7.0
