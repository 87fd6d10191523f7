"""The checks before a post: a stop, an old claim or a late answer of Postgres prevents it."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from domain.error_codes import ThrottleScope
from runtime.waiting import pause
from schemas.events import EventKind
from streams.sender import freshness
from streams.sender.claims import boot_time
from tables import ledger
from tests.support.sender_bench import Bench, error_answer, open_bench
from tests.support.world import NUMBER_ID


async def test_a_throttled_pair_keeps_its_claim_while_it_waits(database_url: str) -> None:
    """The wait outlives the lease: without renewals what surely was not sent would count as unknown."""
    beats: list[int] = []

    async with open_bench(database_url, lambda: beats.append(1), lease_s=4, send_timeout_s=1) as bench:

        async def throttle_first(number: int) -> web.Response:
            if number > 1:
                return await bench.api.accept(number)
            headers = {"Retry-After": "6"}
            return web.json_response({"error": {"code": 131056, "message": "no"}}, status=400, headers=headers)

        bench.api.answer = throttle_first
        await bench.take(await bench.world.release_jobs(1))
        await bench.api.arrived.wait()
        beats.clear()
        sweeping = asyncio.create_task(sweep_until_sent(bench))
        await bench.finish()
        assert await sweeping == []
        assert bench.kafka.kinds() == [EventKind.ACCEPTED]
        assert len(bench.api.posts) == 2
        assert len(beats) >= 4, "a stall to the watchdog otherwise"


async def sweep_until_sent(bench: Bench) -> list[object]:
    declared: list[object] = []
    while bench.sender.window.in_flight:
        declared += await ledger.declare_unknown(bench.world.connection, 10)
        await asyncio.sleep(0.05)
    return declared


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", EventKind.DEFERRED),
        ("UPDATE marketing_campaigns SET status = 'cancelled'", EventKind.SKIPPED),
    ],
)
async def test_a_post_held_by_the_rate_sees_what_came_meanwhile(database_url: str, sql: str, kind: EventKind) -> None:
    """Permits come seconds after the claim: a post must not rely on the state at the claim."""
    async with open_bench(database_url, whatsapp_mps=1) as bench:
        for _ in range(3):
            bench.sender.sends._gate.reserve(NUMBER_ID)
        sending = asyncio.create_task(bench.sender.sends.send(*await bench.add_claim()))
        await bench.world.run(sql)
        await sending
        await bench.finish()
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [kind]


async def test_a_stop_posts_nothing_ahead_of_the_rate(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a permit beyond the end of the process is deferred, not posted at once."""
    async with open_bench(database_url, whatsapp_mps=1) as bench:
        sends = bench.sender.sends

        async def stopped_meanwhile(stop: asyncio.Event, seconds: float) -> bool:
            sends.draining.set()
            return await pause(stop, seconds)

        monkeypatch.setattr(freshness, "pause", stopped_meanwhile)
        for _ in range(6):
            sends._gate.reserve(NUMBER_ID)
        await sends.send(*await bench.add_claim())
        await bench.finish()
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [EventKind.DEFERRED]


async def test_a_postgres_that_always_answers_late_frees_the_slot(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is posted on old knowledge, and what could not be posted rests before it is tried again."""
    monkeypatch.setattr(freshness, "CLAIM_MAX_AGE_S", -1.0)
    monkeypatch.setattr(freshness, "RENEWAL_MAX_AGE_S", -1.0)
    monkeypatch.setattr(freshness, "LATE_RENEWALS_MAX_S", 0.2)
    async with open_bench(database_url) as bench:
        await bench.take(await bench.world.release_jobs(2))
        await bench.finish()
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [EventKind.DEFERRED] * 2
        for event in bench.kafka.events():
            assert event.not_before is not None
            assert (event.not_before - event.occurred_at).total_seconds() == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", EventKind.DEFERRED),
        ("UPDATE marketing_campaigns SET status = 'cancelled'", EventKind.SKIPPED),
        (
            "INSERT INTO subscriptions SELECT phone_number, 'operator', false, now() FROM campaign_recipients",
            EventKind.SKIPPED,
        ),
    ],
)
async def test_a_throttled_retry_does_not_outlive_a_stop(bench: Bench, sql: str, kind: EventKind) -> None:
    """The first answer throttles; while it waits, the campaign stops: no second post."""
    bench.api.answer = error_answer(131056)
    await bench.take(await bench.world.release_jobs(1))
    async with asyncio.timeout(5):
        await bench.api.arrived.wait()
    await bench.world.run(sql)
    await bench.finish()
    assert bench.kafka.kinds() == [kind]
    assert len(bench.api.posts) == 1
    assert set(await bench.ledger_rows()) == {(kind.value, True)}


@pytest.mark.parametrize(
    ("sleep_s", "sql", "posts", "kind"),
    [
        (100.0, "SELECT 1", 0, EventKind.EXPIRED),
        (2.0, "UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'", 0, EventKind.DEFERRED),
        (2.0, "SELECT 1", 1, EventKind.ACCEPTED),
    ],
)
async def test_a_sender_that_slept_between_claim_and_post_checks_its_claim_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch, sleep_s: float, sql: str, posts: int, kind: EventKind
) -> None:
    """Frozen between claim and post (SIGSTOP, a suspended machine, a slow pool): boot time went on."""
    slept = 0.0
    monkeypatch.setattr("streams.sender.process.boot_time", lambda: boot_time() + slept)
    async with open_bench(database_url) as bench:

        async def sleep_instead(stop: asyncio.Event, _seconds: float) -> bool:
            nonlocal slept
            await bench.world.run(sql)
            slept += sleep_s
            return await pause(stop, 0.001)

        monkeypatch.setattr(freshness, "pause", sleep_instead)
        monkeypatch.setattr(bench.sender.sends._gate, "reserve", lambda _: (0.0 if slept else 5.0, True))
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        assert len(bench.api.posts) == posts
        assert bench.kafka.kinds() == [kind]


async def test_a_claim_that_the_sweep_took_while_it_waited_is_settled_as_not_sent(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep does not know that nothing was posted. Otherwise an operator would have to resolve the attempt."""
    async with open_bench(database_url) as bench:

        async def sweep_instead(stop: asyncio.Event, _seconds: float) -> bool:
            await bench.world.run("UPDATE send_ledger SET lease_until = now()")
            assert await ledger.declare_unknown(bench.world.connection, 10)
            return await pause(stop, 0.001)

        monkeypatch.setattr(freshness, "pause", sweep_instead)
        monkeypatch.setattr(freshness, "CLAIM_MAX_AGE_S", -1.0)
        monkeypatch.setattr(bench.sender.sends._gate, "reserve", lambda _: (5.0, True))
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        assert bench.api.posts == []
        assert bench.kafka.kinds() == [EventKind.EXPIRED]
        assert await bench.ledger_rows() == [("expired", True)]
        assert await bench.world.budget_used() == 99


async def test_a_brake_that_is_pulled_while_a_send_waits_for_its_permit_holds_the_post(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_bench(database_url) as bench:
        gate = bench.sender.sends._gate
        held: list[float] = []

        async def pulled_meanwhile(stop: asyncio.Event, _seconds: float) -> bool:
            gate.throttled(NUMBER_ID, ThrottleScope.NUMBER, None)
            return await pause(stop, 0.001)

        async def answer(number: int) -> web.Response:
            held.append(gate.braked_s(NUMBER_ID))
            return await bench.api.accept(number)

        bench.api.answer = answer
        monkeypatch.setattr(freshness, "pause", pulled_meanwhile)
        permits = iter([(5.0, True)])
        reserve = gate.reserve
        monkeypatch.setattr(gate, "reserve", lambda number: next(permits, None) or reserve(number))
        await bench.take(await bench.world.release_jobs(1))
        await bench.finish()
        assert held == [0.0], "the post waited for the end of the brake"
