"""Statements that are retried while Postgres is away."""

import psycopg
import pytest

from tables import retrying

STAGE = "sender"


async def test_a_transient_failure_is_retried_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "RETRY_BASE_S", 0.001)
    errors: list[Exception] = [psycopg.errors.DeadlockDetected(), psycopg.OperationalError("gone")]
    tried: list[int] = []

    async def once() -> str:
        if errors:
            raise errors.pop()
        return "done"

    answer = await retrying.retrying(STAGE, "x", once, give_up_after_s=5, tried=lambda: tried.append(1))
    assert (answer, len(tried)) == ("done", 2)


async def test_retries_have_a_limit_and_a_bug_is_never_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "RETRY_BASE_S", 0.001)
    calls: list[int] = []

    async def away() -> None:
        calls.append(1)
        raise psycopg.OperationalError("gone")

    async def wrong() -> None:
        calls.append(1)
        raise psycopg.errors.UndefinedTable

    with pytest.raises(retrying.PostgresUnreachable):
        await retrying.retrying(STAGE, "x", away, give_up_after_s=0.01)
    assert len(calls) > 1
    calls.clear()
    with pytest.raises(psycopg.errors.UndefinedTable):
        await retrying.retrying(STAGE, "x", wrong, give_up_after_s=5)
    assert len(calls) == 1
