"""Senders that end by a bug before any answer: the third of a host claims nothing."""

from __future__ import annotations

import contextlib

import pytest

from domain.outcomes import Outcome
from schemas.jobs import SendJob
from tests.support.sender_bench import Bench, open_bench

OPEN = "SELECT scope, needs_human, reason FROM breakers WHERE opened_at IS NOT NULL"


async def end_by_a_bug(database_url: str, monkeypatch: pytest.MonkeyPatch, *, answers: int = 0) -> None:
    """Run a sender that claims, gets so many answers, and then raises in a post."""
    with contextlib.suppress(ExceptionGroup):
        async with open_bench(database_url) as bench:
            if answers:
                await bench.take(await bench.world.release_jobs(answers))
                await bench.finish()

            async def broken(_job: SendJob, _callback_data: str) -> Outcome:
                raise ZeroDivisionError

            monkeypatch.setattr(bench.sender.sends._api, "post", broken)
            await bench.take(await bench.world.release_jobs(1))
            await bench.finish()


async def test_two_ends_before_any_answer_stop_the_claims_until_a_human_acts(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await end_by_a_bug(database_url, monkeypatch)
    async with open_bench(database_url) as bench:
        assert await bench.world.run(OPEN) == []
    await end_by_a_bug(database_url, monkeypatch)
    async with open_bench(database_url) as bench:
        [(scope, needs_human, reason)] = await bench.world.run(OPEN)
        assert (scope, needs_human) == ("endpoint", True)
        assert "before any answer" in reason
        await bench.take(await bench.world.release_jobs(3))
        await bench.finish()
        assert bench.api.posts == []
    async with open_bench(database_url) as bench:
        assert await bench.world.count("sender_failures") == 0, "after a resume two others must end so"


@pytest.mark.parametrize("answers", [1])
async def test_an_end_after_an_answer_does_not_count(
    database_url: str, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    await end_by_a_bug(database_url, monkeypatch, answers=answers)
    await end_by_a_bug(database_url, monkeypatch, answers=answers)
    async with open_bench(database_url) as bench:
        assert await bench.world.run(OPEN) == []


async def test_a_stop_in_order_does_not_count(bench: Bench) -> None:
    await bench.take(await bench.world.release_jobs(1))
    await bench.finish()
    assert await bench.world.count("sender_failures") == 0
