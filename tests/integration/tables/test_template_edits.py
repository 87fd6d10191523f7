"""Edited templates on a real Postgres: which campaigns an edit is about, and what its verdict changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.lifecycle import Action, CampaignStatus
from domain.template_edits import EditVerdict, TemplateFit, unread
from schemas.control import ControlEvent, ControlKind
from schemas.model import CampaignId
from tables import breakers, campaigns, template_edits
from tables.campaigns import Campaign
from tables.template_edits import EditedCampaign
from tests.support.world import World

KEY = "your_template/en_US"
FITS = EditVerdict(TemplateFit.FITS)


def edit(key: str = KEY, seconds: float = 1) -> ControlEvent:
    """An edit so many seconds from now."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return ControlEvent(kind=ControlKind.TEMPLATE_EDITED, scope="template", key=key, occurred_at=at)


async def uncompared(world: World, campaign: CampaignId) -> EditedCampaign | None:
    found = await template_edits.read_uncompared(world.connection)
    return next((each for each in found if each.id == campaign), None)


async def edited(world: World, campaign: CampaignId) -> EditedCampaign:
    await template_edits.note(world.connection, [edit()])
    found = await uncompared(world, campaign)
    assert found is not None
    return found


async def state(world: World, campaign: CampaignId) -> Campaign:
    return await campaigns.read(world.connection, campaign)


@pytest.mark.parametrize(("key", "is_noted"), [(KEY, True), ("your_template/de", False), ("other/en_US", False)])
async def test_an_edit_is_noted_at_the_active_campaigns_of_its_template(world: World, key: str, is_noted: bool) -> None:
    campaign, draft = await world.start_campaign(1), await world.create_campaign(1)
    noted = edit(key)
    await template_edits.note(world.connection, [noted])
    found = await uncompared(world, campaign)
    assert found == (EditedCampaign(campaign, "your_template", "en_US", None, noted.occurred_at) if is_noted else None)
    assert await uncompared(world, draft) is None


async def test_an_edit_from_before_the_start_or_the_resume_is_not_compared(world: World) -> None:
    old = edit(seconds=-1)
    campaign = await world.start_campaign(1)
    await template_edits.note(world.connection, [old])
    assert await uncompared(world, campaign) is None
    await template_edits.note(world.connection, [edit(seconds=0)])
    assert await uncompared(world, campaign) is not None
    await world.act(campaign, Action.PAUSE)
    assert await uncompared(world, campaign) is None
    await world.act(campaign, Action.RESUME)
    assert await uncompared(world, campaign) is None


async def test_only_the_latest_edit_counts_in_any_order_and_however_often_it_is_read(world: World) -> None:
    campaign = await world.start_campaign(1)
    first, second = edit(seconds=1), edit(seconds=2)
    await template_edits.note(world.connection, [second, first])
    found = await uncompared(world, campaign)
    assert found is not None
    assert found.edited_at == second.occurred_at
    assert await template_edits.settle(world.connection, found, FITS)
    await template_edits.note(world.connection, [first, second])
    assert await uncompared(world, campaign) is None


async def test_a_fitting_edit_is_shown_and_the_campaign_goes_on(world: World) -> None:
    campaign = await world.start_campaign(1)
    found = await edited(world, campaign)
    assert await template_edits.settle(world.connection, found, FITS)
    shown = await state(world, campaign)
    assert (shown.status, shown.pause_reason, shown.template_fit) == (CampaignStatus.ACTIVE, None, TemplateFit.FITS)
    assert shown.template_edited_at == found.edited_at
    assert not [
        each for each in await breakers.unpublished_changes(world.connection, 10) if each.campaign_id == campaign
    ]


async def test_an_edit_that_does_not_fit_pauses_with_its_reason_and_publishes_the_pause(world: World) -> None:
    campaign = await world.start_campaign(1)
    verdict = unread("Nobody answers.")
    assert await template_edits.settle(world.connection, await edited(world, campaign), verdict)
    shown = await state(world, campaign)
    assert (shown.status, shown.pause_reason) == (CampaignStatus.PAUSED, verdict.reason)
    assert shown.template_fit is TemplateFit.UNREADABLE
    (change,) = [
        each for each in await breakers.unpublished_changes(world.connection, 10) if each.campaign_id == campaign
    ]
    assert (change.change, change.scope, change.key, change.needs_human) == ("campaign_paused", "template", KEY, True)
    await world.act(campaign, Action.RESUME)  # which compares the template as it is now
    shown = await state(world, campaign)
    assert (shown.template_edited_at, shown.template_fit) == (None, None)


async def test_a_verdict_of_an_earlier_edit_or_from_before_a_resume_changes_nothing(world: World) -> None:
    campaign = await world.start_campaign(1)
    found = await edited(world, campaign)
    await template_edits.note(world.connection, [edit(seconds=2)])
    assert not await template_edits.settle(world.connection, found, unread("Too late."))
    later = await uncompared(world, campaign)
    assert later is not None
    await world.run(
        "UPDATE marketing_campaigns SET started_at = %s WHERE id = %s", later.edited_at + timedelta(seconds=1), campaign
    )
    assert not await template_edits.settle(world.connection, later, unread("Too late."))
    assert (await state(world, campaign)).status is CampaignStatus.ACTIVE
