"""Deleting drafts and cloning campaigns: all of it or nothing, and nothing of a campaign that was activated."""

from __future__ import annotations

import asyncio

import pytest

from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus
from schemas.model import CampaignId
from tables import campaigns, drafts, stats
from tables.campaigns import NewCampaign, UnknownCampaign
from tables.drafts import TooManyToClone
from tables.new_recipients import NewRecipient
from tables.release_memory import FIRST_ID
from tests.support.world import World


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "CHUNK_ROWS", 4)


async def test_a_draft_goes_with_all_that_belongs_to_it(world: World) -> None:
    other = await world.create_campaign(3)
    campaign = await world.create_campaign(10, limit=2)
    await stats.fold(world.connection)
    await world.import_recipients(campaign, 3)  # deltas that are not folded
    await world.run("INSERT INTO campaign_days (campaign_id, day) VALUES (%s, current_date)", campaign)
    await drafts.delete(world.connection, campaign)
    for table in (
        "campaign_recipients", "campaign_counter_deltas", "campaign_counters", "campaign_stats", "campaign_days",
    ):  # fmt: skip
        assert await world.value(f"SELECT count(*) FROM {table} WHERE campaign_id = %s", campaign) == 0, table
    assert await stats.recount(world.connection, campaign) == []
    assert await world.statuses(other) == {"pending": 3}
    with pytest.raises(UnknownCampaign):
        await drafts.delete(world.connection, campaign)


async def test_a_campaign_that_was_activated_stays(world: World) -> None:
    campaign = await world.start_campaign(3)
    for action, status in ((None, "active"), (Action.PAUSE, "paused"), (Action.CANCEL, "cancelled")):
        if action is not None:
            await world.act(campaign, action)
        with pytest.raises(ActionNotAllowed, match=f"the campaign is {status}: only a draft can be deleted"):
            await drafts.delete(world.connection, campaign)
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s", campaign) == 3


async def test_people_who_are_added_meanwhile_go_too_and_later_ones_are_refused(world: World) -> None:
    campaign = await world.create_campaign(3)
    async with world.another("import") as importer, world.another("operator") as operator:
        async with importer.transaction():
            await campaigns.add_recipients(importer, campaign, [NewRecipient("14690000001")])
            deleting = asyncio.create_task(drafts.delete(operator, campaign))
            await world.wait_for_blocked("operator")
        await deleting
        assert await world.value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s", campaign) == 0
        late = await world.create_campaign(0)
        async with operator.transaction():
            await drafts.delete(operator, late)
            adding = asyncio.create_task(campaigns.add_recipients(importer, late, [NewRecipient("14690000001")]))
            await world.wait_for_blocked("import")
        with pytest.raises(UnknownCampaign):
            await adding


async def test_an_activation_and_a_deletion_exclude_each_other(world: World) -> None:
    campaign = await world.create_campaign(3)
    async with world.another("operator") as operator:
        async with operator.transaction():
            await campaigns.act(operator, campaign, Action.ACTIVATE)
            deleting = asyncio.create_task(drafts.delete(world.connection, campaign))
            await world.wait_for_blocked("test")
        with pytest.raises(ActionNotAllowed):
            await deleting


async def test_a_clone_has_the_settings_and_if_wanted_the_recipients(world: World) -> None:
    new = NewCampaign("Spring", "offer", "de", 7, "1", "Asia/Tokyo", "DE")
    source = await campaigns.create(world.connection, new)
    people = [NewRecipient(f"4917112345{n:02}", ["Ana", str(n)]) for n in range(9)]
    await campaigns.add_recipients(world.connection, source.id, people)
    await campaigns.act(world.connection, source.id, Action.ACTIVATE)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now(), max_retries = 5"
    )
    await world.run(
        "INSERT INTO campaign_recipients (campaign_id, phone_number, repetition)"
        " VALUES (%s, '5215500001234', 0), (%s, '525500001234', 1)", source.id, source.id,
    )  # fmt: skip
    empty = await drafts.clone(world.connection, source.id, with_recipients=False)
    assert {each: getattr(empty, each) for each in NewCampaign.__slots__} == {
        each: getattr(new, each) for each in NewCampaign.__slots__
    }
    assert (empty.status, empty.activated_at, await world.statuses(CampaignId(empty.id))) == (
        CampaignStatus.DRAFT,
        None,
        {},
    )
    full = await drafts.clone(world.connection, source.id, "Summer", with_recipients=True)
    assert (full.name, await world.statuses(CampaignId(full.id))) == ("Summer", {"pending": 10})
    copied = "SELECT phone_number, template_parameters, max_retries FROM campaign_recipients WHERE campaign_id = %s"
    first = copied + " AND repetition = 0 ORDER BY phone_number"
    assert await world.run(first, full.id) == await world.run(first, source.id)
    assert await stats.recount(world.connection, CampaignId(full.id)) == []
    assert await stats.recount(world.connection, CampaignId(source.id)) == []


async def test_too_many_recipients_are_not_cloned_in_part(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "CLONED_MAX", 8)
    full = await world.create_campaign(8)
    clone = await drafts.clone(world.connection, full, with_recipients=True)
    assert await world.statuses(CampaignId(clone.id)) == {"pending": 8}
    await world.import_recipients(full, 1)
    before = await world.count("marketing_campaigns")
    with pytest.raises(TooManyToClone, match="more than 8 recipients"):
        await drafts.clone(world.connection, full, with_recipients=True)
    assert await world.count("marketing_campaigns") == before
    with pytest.raises(UnknownCampaign):
        await drafts.clone(world.connection, FIRST_ID, with_recipients=True)
