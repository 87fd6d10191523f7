"""Removing one recipient: never one that is released, with its place in the plan, and with all rows that repeat it."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import pytest

from domain.people import PersonKey
from schemas.model import CampaignId
from tables import planning, removal, stats
from tables.campaigns import UnknownCampaign
from tables.releases import release_step
from tables.removal import NoSuchRecipient, RecipientReleased
from tests.support.world import FAST, World

PLANNED = "SELECT day - current_date, planned FROM campaign_days WHERE campaign_id = %s AND planned > 0 ORDER BY 1"


async def ids(world: World, campaign: CampaignId) -> list[UUID]:
    rows = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s ORDER BY phone_number", campaign)
    return [row[0] for row in rows]


async def test_a_recipient_leaves_the_counters_and_the_plan(world: World) -> None:
    campaign = await world.start_campaign(6, limit=2)
    rows = await world.run(
        "SELECT id FROM campaign_recipients WHERE campaign_id = %s ORDER BY scheduled_send_date DESC", campaign
    )
    latest, earliest = rows[0][0], rows[-1][0]
    await removal.remove(world.connection, campaign, latest)
    assert await world.run(PLANNED, campaign) == [(1, 2), (2, 1)]
    await removal.remove(world.connection, campaign, earliest)
    assert await world.run(PLANNED, campaign) == [(1, 2), (2, 1)], "today is not counted in advance"
    assert await stats.recount(world.connection, campaign) == []
    assert await world.statuses(campaign) == {"pending": 4}
    with pytest.raises(NoSuchRecipient):
        await removal.remove(world.connection, campaign, latest)
    await world.import_recipients(campaign, 2)
    assert await world.run(PLANNED, campaign) == [(1, 2), (2, 2)], "the free places are taken"


async def test_a_recipient_of_a_draft_or_without_a_planned_time_is_removed(world: World) -> None:
    campaign = await world.create_campaign(2)
    first, second = await ids(world, campaign)
    await removal.remove(world.connection, campaign, PersonKey("15550000000"))
    assert await ids(world, campaign) == [second]
    with pytest.raises(NoSuchRecipient):
        await removal.remove(world.connection, campaign, first)
    with pytest.raises(NoSuchRecipient):
        await removal.remove(world.connection, world.campaign, second)
    with pytest.raises(UnknownCampaign):
        await removal.remove(world.connection, uuid4(), second)


async def test_a_released_recipient_stays(world: World) -> None:
    campaign = await world.start_campaign(1)
    assert len((await world.release()).jobs) == 1
    with pytest.raises(RecipientReleased):
        await removal.remove(world.connection, campaign, PersonKey("15550000000"))
    assert await world.statuses(campaign) == {"queued": 1}


async def test_the_rows_that_repeat_a_person_go_with_the_first(world: World) -> None:
    campaign = await world.create_campaign(0)
    insert = "INSERT INTO campaign_recipients (campaign_id, phone_number, repetition) VALUES (%s, %s, %s) RETURNING id"
    await world.run(insert, campaign, "5215500001234", 0)
    repeated = await world.value(insert, campaign, "525500001234", 1)
    await removal.remove(world.connection, campaign, repeated)
    assert await world.run("SELECT repetition FROM campaign_recipients WHERE campaign_id = %s", campaign) == [(0,)]
    await world.run(insert, campaign, "525500001234", 1)
    await removal.remove(world.connection, campaign, PersonKey("525500001234"))
    assert await world.statuses(campaign) == {}


async def test_a_release_that_has_the_row_decides_and_a_later_one_does_not_find_it(world: World) -> None:
    campaign = await world.start_campaign(2)
    first = (await ids(world, campaign))[0]
    async with world.another("releaser") as releaser, world.another("operator") as operator:
        async with releaser.transaction():
            assert len((await release_step(releaser, FAST)).jobs) == 2
            removing = asyncio.create_task(removal.remove(operator, campaign, first))
            await world.wait_for_blocked("operator")
        with pytest.raises(RecipientReleased):
            await removing
    await world.import_recipients(campaign, 2)
    third, fourth = (await ids(world, campaign))[2:]
    async with world.another("operator") as operator, operator.transaction():
        await removal.remove(operator, campaign, third)
        jobs = (await asyncio.wait_for(world.release(), 5)).jobs
        assert [job.recipient_id for job in jobs] == [fourth], "it waits for nobody"
    assert (await world.release()).jobs == ()
    assert await stats.recount(world.connection, campaign) == []


async def test_a_removal_and_a_plan_exclude_each_other(world: World) -> None:
    campaign = await world.start_campaign(6, limit=2)
    [*_, last] = await ids(world, campaign)
    await planning.request_new_plan(world.connection, campaign)
    async with world.another("planner") as planner, world.another("operator") as operator:
        async with planner.transaction():
            await planning.plan_chunk(planner, campaign)
            removing = asyncio.create_task(removal.remove(operator, campaign, last))
            await world.wait_for_blocked("operator")
        await removing
    await planning.plan_chunk(world.connection, campaign)
    await planning.plan_chunk(world.connection, campaign)
    assert await world.run(PLANNED, campaign) == [(1, 2), (2, 1)]
