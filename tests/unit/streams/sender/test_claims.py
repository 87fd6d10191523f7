"""The issue time of a claim: the wait for a connection does not count, and a lost answer does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest

from streams.sender.claims import Claims, boot_time
from tables import ledger
from tables.ledger import Claim, ClaimAnswer, ClaimResult

CLAIM = Claim(uuid4(), 1, uuid4())


class Waiting:
    """A pool that gives a connection after two seconds. Its server loses some answers."""

    def __init__(self) -> None:
        self.now_s = 0.0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[None]:
        self.now_s += 2.0
        yield


async def test_the_wait_for_a_connection_does_not_age_a_claim_and_a_lost_answer_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The result that is read back was decided by the first try that reached the server."""
    pool, answers_lost, tokens = Waiting(), 1, []

    async def claim(_connection: object, token: object, *_: object) -> dict[object, object]:
        nonlocal answers_lost
        tokens.append(token)
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
    assert tokens[0] == tokens[1], "another token would not get the claims of the first try"
    [renewed] = await claims._renew_round([CLAIM])
    assert renewed.issued_at == 7.0


def test_boot_time_advances_like_time() -> None:
    first = boot_time()
    assert 0 <= boot_time() - first < 5
