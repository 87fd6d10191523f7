"""Editing on a real Postgres: by the state, one edit after the other, and a new limit holds at once on every day."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain.editing import SettingNotEditable
from domain.lifecycle import Action, CampaignStatus
from schemas.model import CampaignId
from tables import campaigns, editing, stats
from tables.campaigns import UnknownCampaign
from tables.release_memory import FIRST_ID
from tables.releases import release_step
from tests.support.world import FAST, World

ALL: dict[str, Any] = {
    "name": "Other", "template_name": "other", "language_code": "de", "daily_send_limit": 7,
    "phone_number_id": "1", "time_zone": "Asia/Tokyo", "country": "DE",
}  # fmt: skip
DAYS = """
    SELECT scheduled_send_date::date - current_date, count(*) FROM campaign_recipients
    WHERE campaign_id = %s GROUP BY 1 ORDER BY 1
"""


async def test_a_draft_changes_in_everything(world: World) -> None:
    campaign = await world.create_campaign(3, limit=2)
    changed = await editing.edit(world.connection, campaign, ALL)
    assert {name: getattr(changed, name) for name in ALL} == ALL
    assert (changed.status, changed.planning) == (CampaignStatus.DRAFT, False)
    assert await editing.edit(world.connection, campaign, {}) == changed, "nothing changes, not even updated_at"


async def test_a_running_campaign_keeps_what_its_messages_are_made_of(world: World) -> None:
    campaign = await world.start_campaign(1)
    before = await campaigns.read(world.connection, campaign)
    with pytest.raises(SettingNotEditable, match="template_name, time_zone cannot change while the campaign is active"):
        await editing.edit(world.connection, campaign, {"name": "x", "template_name": "x", "time_zone": "Asia/Tokyo"})
    assert await campaigns.read(world.connection, campaign) == before
    same = {"name": "x", "template_name": before.template_name, "time_zone": before.time_zone}
    assert (await editing.edit(world.connection, campaign, same)).name == "x", "an equal value is no change"
    with pytest.raises(UnknownCampaign):
        await editing.edit(world.connection, FIRST_ID, ALL)


@pytest.mark.parametrize(
    ("old", "new", "days"),
    [
        (10, 3, [(0, 3), (1, 3), (2, 3), (3, 3)]),
        (3, 10, [(0, 10), (1, 2)]),
        (3, None, [(0, 12)]),
        (None, 5, [(0, 5), (1, 5), (2, 2)]),
    ],
)
async def test_a_new_limit_plans_everybody_again(
    world: World, old: int | None, new: int | None, days: list[tuple[int, int]]
) -> None:
    campaign = await world.start_campaign(12, limit=old)
    changed = await editing.edit(world.connection, campaign, {"daily_send_limit": new})
    assert (changed.daily_send_limit, changed.planning) == (new, False)
    assert await world.run(DAYS, campaign) == days
    assert len((await world.release()).jobs) == days[0][1]
    assert (await world.release()).jobs == (), "the day has its limit"
    assert await stats.recount(world.connection, campaign) == []


async def test_what_a_day_has_used_counts_for_the_new_limit(world: World) -> None:
    campaign = await world.start_campaign(20, limit=6)
    assert len((await world.release()).jobs) == 6
    await editing.edit(world.connection, campaign, {"daily_send_limit": 4})
    assert (await world.release()).jobs == ()
    await editing.edit(world.connection, campaign, {"daily_send_limit": 8})
    assert len((await world.release()).jobs) == 2
    assert await world.budget_used(campaign) == 8
    planned = "SELECT day - current_date, planned FROM campaign_days WHERE campaign_id = %s AND planned > 0 ORDER BY 1"
    assert await world.run(planned, campaign) == [(1, 8), (2, 4)]


async def test_people_added_to_a_new_plan_join_it_at_its_end(world: World) -> None:
    campaign = await world.start_campaign(5, limit=5)
    await editing.edit(world.connection, campaign, {"daily_send_limit": 2})
    await world.import_recipients(campaign, 2)
    assert await world.run(DAYS, campaign) == [(0, 2), (1, 2), (2, 2), (3, 1)]


async def test_a_paused_campaign_gets_its_new_plan_too(world: World) -> None:
    campaign = await world.start_campaign(5, limit=5)
    await world.act(campaign, Action.PAUSE)
    await editing.edit(world.connection, campaign, {"daily_send_limit": 2})
    assert (await world.release()).jobs == ()
    await world.act(campaign, Action.RESUME)
    assert len((await world.release()).jobs) == 2


async def test_a_release_that_began_before_the_change_keeps_the_new_limit(world: World) -> None:
    """The releaser has read the old limit, and waits for the lock of the day that the change holds."""
    campaign = await world.start_campaign(20, limit=10)
    await world.run("INSERT INTO campaign_days (campaign_id, day) VALUES (%s, current_date)", campaign)
    releaser = await world.releaser()
    async with world.another("operator") as operator, operator.transaction():
        await editing.edit(operator, campaign, {"daily_send_limit": 3})
        releasing = asyncio.create_task(release_step(releaser, FAST))
        await world.wait_for_blocked("test-releaser")
    assert len((await releasing).jobs) == 3


async def test_a_change_waits_for_a_release_and_a_pause_for_neither(world: World) -> None:
    campaign = await world.start_campaign(20, limit=10)
    async with world.another("frozen releaser") as frozen:
        async with frozen.transaction():
            await release_step(frozen, FAST)
            changing = asyncio.create_task(editing.edit(world.connection, campaign, {"daily_send_limit": 12}))
            await world.wait_for_blocked("test")
            async with world.another("operator") as operator:
                await asyncio.wait_for(campaigns.act(operator, campaign, Action.PAUSE), 5)
        await changing
    assert await world.budget_used(campaign) == 10
    assert await stats.recount(world.connection, campaign) == []


async def test_limits_that_change_while_a_campaign_is_released_hold_on_each_day(world: World) -> None:
    """Edits, releases and additions at once: no release passes the limit that was committed before it."""
    campaign = CampaignId(await world.start_campaign(300, limit=20))
    releaser = await world.releaser()
    async with world.another("operator") as operator:

        async def change() -> None:
            for limit in (35, 10, 60, 5, 90, 70):
                await editing.edit(operator, campaign, {"daily_send_limit": limit})

        async def release() -> None:
            for _ in range(12):
                await release_step(releaser, FAST)

        await asyncio.gather(change(), release(), world.import_recipients(campaign, 50))
    await release_step(releaser, FAST)
    used = await world.budget_used(campaign)
    assert used <= 90
    while used < 70 and (await release_step(releaser, FAST)).jobs:
        used = await world.budget_used(campaign)
    assert await world.budget_used(campaign) == max(used, 70)
    counted = "SELECT max(n) FROM (SELECT count(*) AS n FROM campaign_recipients WHERE campaign_id = %s"
    later = " AND attempt = 0 AND scheduled_send_date >= current_date + 1 GROUP BY scheduled_send_date::date) AS days"
    assert await world.value(counted + later, campaign) <= 70
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE next_attempt_at IS NULL") == used
    assert await stats.recount(world.connection, campaign) == []
