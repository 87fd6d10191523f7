"""Planning in chunks: over days, in the background, without a lock that a pause needs, and without losing anybody."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.lifecycle import Action
from schemas.model import CampaignId
from tables import campaigns, planning
from tables.database import Connection
from tables.new_recipients import NewRecipient
from tables.planning import PlannedChunk
from tables.release_memory import FIRST_ID
from tests.support.world import World


async def activate_unplanned(world: World, recipients: int, limit: int | None = None, zone: str = "UTC") -> CampaignId:
    """An active campaign whose recipients wait for the scheduler: its activation was part of a longer transaction."""
    campaign = await world.create_campaign(recipients, limit, zone=zone)
    async with world.connection.transaction():
        await world.act(campaign, Action.ACTIVATE)
    return campaign


async def plan_all(connection: Connection, campaign: CampaignId, rows: int) -> int:
    """Plan until nothing is left, as the scheduler does; returns the number of chunks."""
    chunks, place = 1, (await planning.plan_chunk(connection, campaign, rows)).next
    while place is not None:
        chunks, place = chunks + 1, (await planning.plan_chunk(connection, campaign, rows, place)).next
    return chunks


DAYS = """
    SELECT scheduled_send_date::date - current_date, count(*) FROM campaign_recipients
    WHERE campaign_id = %s GROUP BY 1 ORDER BY 1
"""


async def test_chunks_fill_each_day_up_to_the_limit(world: World) -> None:
    campaign = await activate_unplanned(world, 45, limit=10)
    assert await planning.find_planning(world.connection) == [campaign]
    assert await plan_all(world.connection, campaign, 7) == 8, "seven are planned, and one page is checked"
    assert await world.run(DAYS, campaign) == [(0, 10), (1, 10), (2, 10), (3, 10), (4, 5)]
    days = "SELECT day - current_date, planned FROM campaign_days WHERE campaign_id = %s ORDER BY 1"
    assert await world.run(days, campaign) == [(1, 10), (2, 10), (3, 10), (4, 5)]
    assert await planning.find_planning(world.connection) == []


async def test_a_chunk_reads_its_own_recipients_only_although_the_table_has_no_statistics(world: World) -> None:
    campaign = await activate_unplanned(world, 2000)
    connection = await world.releaser()
    async with connection.transaction():
        assert (await planning.plan_chunk(connection, campaign, 100)).planned == 100
        read = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'campaign_recipients'"
        row = await (await connection.execute(read)).fetchone()
    assert row is not None
    assert row[0] < 500


async def test_added_recipients_join_the_plan_behind_the_others(world: World) -> None:
    campaign = await world.start_campaign(15, limit=10)
    await world.import_recipients(campaign, 10)
    assert await world.run(DAYS, campaign) == [(0, 10), (1, 10), (2, 5)]


async def test_overdue_recipients_and_used_attempts_take_the_room_of_today(world: World) -> None:
    campaign = await world.start_campaign(6, limit=10)
    await world.release()
    await world.import_recipients(campaign, 10)
    assert await world.run(DAYS, campaign) == [(0, 10), (1, 6)]


async def test_days_are_days_in_the_zone_of_the_campaign(world: World) -> None:
    campaign = await world.start_campaign(3, limit=1, zone="Pacific/Kiritimati")
    rows = await world.run("SELECT scheduled_send_date FROM campaign_recipients WHERE campaign_id = %s", campaign)
    now = datetime.now(UTC)
    later = sorted(at for (at,) in rows)[1:]
    assert [at.hour for at in later] == [10, 10], "midnight there"
    assert later[0] - now <= timedelta(days=1) < later[1] - now + timedelta(seconds=1)


async def test_a_pause_and_a_release_do_not_wait_for_a_planner(world: World) -> None:
    campaign = await activate_unplanned(world, 20)
    await planning.plan_chunk(world.connection, campaign, 10)
    async with world.another("planner") as planner, planner.transaction():
        await planning.plan_chunk(planner, campaign, 5)  # not committed, so all of its locks are held
        assert len((await asyncio.wait_for(world.release(), 5)).jobs) == 10
        await asyncio.wait_for(world.act(campaign, Action.PAUSE), 5)
    assert await plan_all(world.connection, campaign, 100) == 1, "a paused campaign is planned too"
    assert await planning.find_planning(world.connection) == []


async def test_one_planner_at_a_time_plans_a_campaign(world: World) -> None:
    campaign = await activate_unplanned(world, 20, limit=5)
    async with world.another("planner") as planner, planner.transaction():
        await planning.plan_chunk(planner, campaign, 10)
        assert await planning.plan_chunk(world.connection, CampaignId(FIRST_ID), 10) == PlannedChunk(0, None)
        other = asyncio.create_task(planning.plan_chunk(world.connection, campaign, 20))
    assert (await other).planned in (0, 10), "it found the lock taken, or came after"
    await plan_all(world.connection, campaign, 100)
    assert await world.run(DAYS, campaign) == [(0, 5), (1, 5), (2, 5), (3, 5)]


async def test_recipients_that_are_added_while_a_plan_ends_are_not_lost(world: World) -> None:
    campaign = await activate_unplanned(world, 3)
    async with world.another("import") as importer, importer.transaction():
        await campaigns.add_recipients(importer, campaign, [NewRecipient("14690000001")])
        ending = asyncio.create_task(plan_all(world.connection, campaign, 100))
        await world.wait_for_blocked("test")
    await ending
    assert await planning.find_planning(world.connection) == [campaign]
    await plan_all(world.connection, campaign, 100)
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE scheduled_send_date IS NULL") == 0


async def test_the_end_of_a_plan_is_checked_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "CHECK_ROWS", 10)
    campaign = await activate_unplanned(world, 25)
    assert await plan_all(world.connection, campaign, 20) == 2 + 3
    assert await planning.find_planning(world.connection) == []


async def test_a_page_of_the_check_reads_its_own_recipients_only_although_the_table_has_no_statistics(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHECK_ROWS", 100)
    campaign, connection = await activate_unplanned(world, 5000), await world.releaser()
    place = (await planning.plan_chunk(connection, campaign, 2000)).next
    while place is not None and place.checked is None:
        place = (await planning.plan_chunk(connection, campaign, 2000, place)).next
    read = "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'campaign_recipients'"
    async with connection.transaction():
        before = await (await connection.execute(read)).fetchone()  # the server may not have counted earlier ones yet
        assert (await planning.plan_chunk(connection, campaign, 2000, place)).next is not None
        after = await (await connection.execute(read)).fetchone()
    assert before is not None
    assert after is not None
    assert after[0] - before[0] < 1000


@pytest.mark.parametrize("place", [0, 9, 10, 24])
async def test_a_locked_recipient_on_any_page_is_planned_by_the_next_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(planning, "CHECK_ROWS", 10)
    campaign = await activate_unplanned(world, 25)
    edited = await world.value("SELECT id FROM campaign_recipients ORDER BY id OFFSET %s LIMIT 1", place)
    async with world.another("editor") as editor, editor.transaction():
        await editor.execute("SELECT FROM campaign_recipients WHERE id = %s FOR UPDATE", [edited])
        await plan_all(world.connection, campaign, 20)
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE scheduled_send_date IS NULL") == 1
    assert await planning.find_planning(world.connection) == [campaign]
    assert await plan_all(world.connection, campaign, 20) == 1
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE scheduled_send_date IS NULL") == 0
    assert await planning.find_planning(world.connection) == []


async def test_a_campaign_with_an_unknown_zone_is_paused(world: World) -> None:
    campaign = await world.start_campaign(3, zone="Mars/Olympus")
    assert await world.run("SELECT status, pause_reason FROM marketing_campaigns WHERE id = %s", campaign) == [
        ("paused", "invalid_time_zone")
    ]


async def test_a_cancelled_campaign_is_not_planned(world: World) -> None:
    campaign = await activate_unplanned(world, 3)
    await world.act(campaign, Action.CANCEL)
    assert await planning.find_planning(world.connection) == []
    assert await planning.plan_chunk(world.connection, campaign) == PlannedChunk(0, None)


async def test_a_new_plan_begins_when_everybody_has_left_the_old_one(world: World) -> None:
    campaign = await world.start_campaign(30, limit=10)
    await world.run("UPDATE marketing_campaigns SET daily_send_limit = 4 WHERE id = %s", campaign)
    await planning.request_new_plan(world.connection, campaign)
    first = await planning.plan_chunk(world.connection, campaign, 12)
    assert (first.planned, first.unplanned) == (0, 12)
    assert await world.run(DAYS, campaign) == [(0, 10), (1, 8), (None, 12)], "the latest leave first"
    assert len((await world.release()).jobs) == 4, "the earliest are released meanwhile, within the new limit"
    assert await plan_all(world.connection, campaign, 12) == 6, (
        "two chunks leave the old plan, three are planned, and one page is checked"
    )
    assert await world.run(DAYS, campaign) == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 2)]
    assert await planning.find_planning(world.connection) == []
    days = "SELECT day - current_date, planned FROM campaign_days WHERE campaign_id = %s AND planned > 0 ORDER BY 1"
    assert await world.run(days, campaign) == [(1, 4), (2, 4), (3, 4), (4, 4), (5, 4), (6, 4), (7, 2)]


async def test_a_plan_that_ends_leaves_a_new_plan_to_come(world: World) -> None:
    campaign = await activate_unplanned(world, 3, limit=2)
    async with world.another("limit") as operator, operator.transaction():
        await operator.execute("UPDATE marketing_campaigns SET daily_send_limit = 3 WHERE id = %s", [campaign])
        await planning.request_new_plan(operator, campaign)
        ending = asyncio.create_task(plan_all(world.connection, campaign, 100))
        await world.wait_for_blocked("test")
    await ending
    assert await planning.find_planning(world.connection) == [campaign]
    await plan_all(world.connection, campaign, 100)
    assert await world.run(DAYS, campaign) == [(0, 3)]
    assert await planning.find_planning(world.connection) == []


async def test_a_pause_does_not_wait_for_a_new_plan(world: World) -> None:
    campaign = await world.start_campaign(20, limit=2)
    await planning.request_new_plan(world.connection, campaign)
    async with world.another("planner") as planner, planner.transaction():
        await planning.plan_chunk(planner, campaign, 5)  # not committed, so all of its locks are held
        assert len((await asyncio.wait_for(world.release(), 5)).jobs) == 2
        await asyncio.wait_for(world.act(campaign, Action.PAUSE), 5)
