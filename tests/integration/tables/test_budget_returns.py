"""Budget that is given back while another session has locked the day: nobody waits, and it is given back once."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from tables import budget_returns, ledger
from tables.budget_returns import FIRST
from tables.ledger import Claim, ClaimResult, Settlement
from tests.support.world import World

LOCK_DAY = "SELECT FROM campaign_days WHERE campaign_id = %s FOR UPDATE"
USED = "SELECT sum(used)::int FROM campaign_days"
WAITING = "SELECT coalesce(sum(n), 0)::int FROM budget_returns"


async def deferred(world: World, count: int) -> list[Settlement]:
    await world.start_campaign(count)
    jobs = [*(await world.release()).jobs]
    token = uuid4()
    assert await world.claim(jobs, token=token) == [ClaimResult.CLAIMED] * count
    return [Settlement(Claim(job.recipient_id, job.attempt, token), "deferred", "{}") for job in jobs]


async def test_a_locked_day_holds_up_no_settlement(world: World) -> None:
    settlements = await deferred(world, 3)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute("SELECT FROM campaign_days FOR UPDATE")
        settled = await ledger.settle(world.connection, settlements)
        assert len(settled.written) == 3
        assert await budget_returns.apply_returns(world.connection, FIRST, 100) == FIRST
        assert (await world.value(USED), await world.value(WAITING)) == (3, 3)
    await budget_returns.apply_returns(world.connection, FIRST, 100)
    assert (await world.value(USED), await world.value(WAITING)) == (0, 0)
    await budget_returns.apply_returns(world.connection, FIRST, 100)
    assert await world.value(USED) == 0


async def test_a_free_day_gets_its_budget_at_once(world: World) -> None:
    await ledger.settle(world.connection, await deferred(world, 3))
    assert (await world.value(USED), await world.value(WAITING)) == (0, 0)


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_a_day_that_stays_locked_keeps_no_other_day_waiting(world: World, limit: int) -> None:
    first, second = await world.start_campaign(1), await world.start_campaign(1)
    await world.run("INSERT INTO campaign_days (campaign_id, day, used) VALUES (%s, current_date - 9, 5)", first)
    await world.run("INSERT INTO campaign_days (campaign_id, day, used) VALUES (%s, current_date - 9, 5)", second)
    for campaign in (first, first, second):
        await world.run("INSERT INTO budget_returns (campaign_id, day, n) VALUES (%s, current_date - 9, 2)", campaign)
    async with world.another() as operator, operator.transaction(), asyncio.timeout(5):
        await operator.execute(LOCK_DAY, [first])
        place = FIRST
        for _ in range(4):
            place = await budget_returns.apply_returns(world.connection, place, limit)
        used = "SELECT used FROM campaign_days WHERE campaign_id = %s AND day = current_date - 9"
        assert (await world.value(used, first), await world.value(used, second)) == (5, 3)
    for _ in range(4):
        place = await budget_returns.apply_returns(world.connection, place, limit)
    assert (await world.value(used, first), await world.value(WAITING)) == (1, 0)


async def test_a_return_for_a_day_that_retention_has_deleted_is_forgotten(world: World) -> None:
    campaign = await world.start_campaign(1)
    await world.run("INSERT INTO budget_returns (campaign_id, day, n) VALUES (%s, current_date - 99, 2)", campaign)
    await budget_returns.apply_returns(world.connection, FIRST, 100)
    assert await world.value(WAITING) == 0
