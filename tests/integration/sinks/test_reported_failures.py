"""Failures that Meta reports by webhook: a code of a whole scope opens its breaker, if it is fresh and not outdated."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.breakers import Scope
from domain.error_codes import failure
from domain.lifecycle import Action
from schemas.events import EventKind, RecipientEvent
from schemas.jobs import SendJob
from sinks.reported_failures import feed_breakers
from tables import breakers
from tests.support.world import World

OPEN = "SELECT scope, code, needs_human FROM breakers WHERE opened_at IS NOT NULL"


@pytest.fixture(autouse=True)
async def only_the_campaigns_of_the_test(world: World) -> None:
    await world.set_campaign_status("cancelled")


def failed_event(world: World, job: SendJob, code: int, ago_s: float = 0.0) -> RecipientEvent:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    failed = failure(code, "no", attempt=job.attempt, from_webhook=True, time_scale=1)
    return world.event(
        job.recipient_id, EventKind.FAILED, failure=failed, attempt=job.attempt, occurred_at=at, received_at=at
    )


async def claimed_jobs(world: World, count: int) -> list[SendJob]:
    """Jobs of a new campaign that a sender has claimed, and so may have sent."""
    world.campaign = await world.start_campaign(count)
    jobs = list((await world.release()).jobs)
    await world.claim(jobs)
    return jobs


async def report(world: World, job: SendJob, code: int, ago_s: float = 0.0) -> None:
    await feed_breakers(world.connection, [failed_event(world, job, code, ago_s)], 1.0)


async def test_a_payment_block_that_comes_by_webhook_pauses_the_campaigns_of_the_account(world: World) -> None:
    [job] = await claimed_jobs(world, 1)
    await report(world, job, 131042)
    assert await world.run(OPEN) == [("account", 131042, True)]
    assert [each for each, _ in await breakers.pause_held(world.connection, 86_400)] == [world.campaign]


async def test_failures_of_persons_and_old_ones_open_nothing(world: World) -> None:
    first, second, third = await claimed_jobs(world, 3)
    await report(world, first, 131026)
    await report(world, second, 131000)
    await report(world, third, 131042, ago_s=61)
    assert await world.run(OPEN) == []


async def test_a_failure_of_an_attempt_from_before_the_resume_does_not_pause_again(world: World) -> None:
    """Its webhook is fresh, but it proves nothing about the time since the operator acted."""
    first, second, third = await claimed_jobs(world, 3)
    await report(world, first, 131042)
    await breakers.pause_held(world.connection, 86_400)
    await world.act(world.campaign, Action.RESUME)
    await report(world, second, 131042)
    assert await world.run(OPEN) == [("account", 131042, False)]
    assert await breakers.close(world.connection, Scope.ACCOUNT, "")
    await report(world, third, 131042)
    assert await world.run(OPEN) == []
    assert await breakers.pause_held(world.connection, 86_400) == []


async def test_a_pause_by_hand_and_a_resume_outdate_older_attempts_too(world: World) -> None:
    first, second = await claimed_jobs(world, 2)
    await world.act(world.campaign, Action.PAUSE)
    await world.act(world.campaign, Action.RESUME)
    await report(world, first, 131042)
    assert await world.run(OPEN) == []
    await world.run(
        "UPDATE send_ledger SET claimed_at = clock_timestamp() WHERE recipient_id = %s", second.recipient_id
    )
    await report(world, second, 131042)
    assert await world.run(OPEN) == [("account", 131042, True)]


async def test_an_attempt_without_a_claim_opens_nothing(world: World) -> None:
    [job] = await claimed_jobs(world, 1)
    await world.run("DELETE FROM send_ledger")
    await report(world, job, 131042)
    assert await world.run(OPEN) == []


async def test_a_locked_breaker_neither_stops_the_sink_nor_loses_the_cause(world: World) -> None:
    first, second = await claimed_jobs(world, 2)
    await breakers.open_by_operator(world.connection, Scope.ACCOUNT, "", "test")
    await breakers.close(world.connection, Scope.ACCOUNT, "")
    await world.run("UPDATE breakers SET closed_at = closed_at - interval '1 minute'")
    async with world.another() as other, other.transaction(), asyncio.timeout(5):
        await other.execute("SELECT FROM breakers FOR UPDATE")
        await report(world, first, 131042)
    assert await world.run(OPEN) == []
    await report(world, second, 131042)
    assert await world.run(OPEN) == [("account", 131042, True)]


async def test_a_database_that_refuses_does_not_stop_the_sink(world: World) -> None:
    [job] = await claimed_jobs(world, 1)
    await world.run("ALTER TABLE breaker_changes ADD CONSTRAINT none CHECK (false) NOT VALID")
    try:
        await report(world, job, 131042)
    finally:
        await world.run("ALTER TABLE breaker_changes DROP CONSTRAINT none")
    assert await world.run(OPEN) == []
