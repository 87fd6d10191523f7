"""Reports of Meta on a real Postgres and broker: what they stop, and what a later resume makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from domain.lifecycle import Action, CampaignStatus
from schemas.codec import encode
from schemas.control import ControlEvent, ControlKind
from schemas.model import CampaignId
from schemas.topics import Topic
from tables import breakers, campaigns, notices, portfolio
from tests.support.world import NUMBER_ID, World

PAUSED, ACTIVE = CampaignStatus.PAUSED, CampaignStatus.ACTIVE


def report(scope: str, key: str = "", seconds: float = 1, reason: str = "Meta stopped it.") -> ControlEvent:
    """A report so many seconds from now."""
    return ControlEvent(
        kind=ControlKind.REPORTED, scope=scope, key=key, reason=reason, needs_human=True,
        occurred_at=datetime.now(UTC) + timedelta(seconds=seconds),
    )  # fmt: skip


async def state(world: World, campaign: CampaignId) -> tuple[CampaignStatus, str | None]:
    found = await campaigns.read(world.connection, campaign)
    return found.status, found.pause_reason


@pytest.mark.parametrize(
    ("scope", "key", "is_stopped"),
    [
        ("template", "your_template/en_US", True),
        ("template", "your_template/de", False),
        ("template", "other/en_US", False),
        ("number", NUMBER_ID, True),
        ("number", "999", False),
        ("number", "", True),
        ("account", "", True),
        ("something_new", "", False),
    ],
)
async def test_a_report_stops_the_active_campaigns_of_its_scope(
    world: World, scope: str, key: str, is_stopped: bool
) -> None:
    campaign, draft = await world.start_campaign(1), await world.create_campaign(1)
    await notices.pause_reported(world.connection, [report(scope, key)])
    assert await state(world, campaign) == ((PAUSED, "Meta stopped it.") if is_stopped else (ACTIVE, None))
    assert (await state(world, draft))[0] is CampaignStatus.DRAFT
    changes = [
        each for each in await breakers.unpublished_changes(world.connection, 10) if each.campaign_id == campaign
    ]
    expected = [("campaign_paused", scope, key, True)] if is_stopped else []
    assert [(each.change, each.scope, each.key, each.needs_human) for each in changes] == expected


async def test_a_report_from_before_the_start_or_the_resume_stops_nothing(world: World) -> None:
    old = report("account", seconds=-1)
    campaign = await world.start_campaign(1)
    assert campaign not in dict(await notices.pause_reported(world.connection, [old]))
    await world.act(campaign, Action.PAUSE)
    between = report("account", seconds=0)
    await world.act(campaign, Action.RESUME)
    assert campaign not in dict(await notices.pause_reported(world.connection, [old, between]))
    assert (await state(world, campaign))[0] is ACTIVE
    assert campaign in dict(await notices.pause_reported(world.connection, [report("account")]))


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_the_order_of_reports_does_not_matter_and_a_repetition_neither(
    world: World, order: tuple[int, ...]
) -> None:
    campaign = await world.start_campaign(1)
    reports = [report("account", reason="first"), report("template", "x/en"), report("number", NUMBER_ID, 2, "second")]
    await notices.pause_reported(world.connection, [reports[place] for place in order])
    assert await state(world, campaign) == (PAUSED, "first")
    assert campaign not in dict(await notices.pause_reported(world.connection, reports))


@pytest.mark.usefixtures("topics")
async def test_the_sink_applies_reports_and_leaves_other_events_alone(world: World) -> None:
    campaign = await world.start_campaign(1)
    other = report("account").model_copy(update={"kind": ControlKind.OPENED})
    topic = world.settings.topic(Topic.CAMPAIGN_CONTROL)
    stopping = report("template", "your_template/en_US")
    changed = {"kind": ControlKind.LIMIT_REPORTED, "limit": 2000, "needs_human": False}
    limit = report("portfolio").model_copy(update=changed)
    going_on = await world.start_campaign(1)
    await world.run("UPDATE marketing_campaigns SET language_code = 'de' WHERE id = %s", going_on)
    edit = report("template", "your_template/de").model_copy(update={"kind": ControlKind.TEMPLATE_EDITED})
    records = [(each.record_key, encode(each)) for each in (other, stopping, limit, edit)]
    async with world.running_sinks():
        await world.publish(topic, (b"key", b"no JSON"), *records)
        await world.wait_for_applied(5, topic)
    assert await state(world, campaign) == (PAUSED, "Meta stopped it.")
    assert (await portfolio.read(world.connection)).reported == 2000
    shown = await campaigns.read(world.connection, going_on)
    assert (shown.status, shown.template_edited_at, shown.template_fit) == (ACTIVE, edit.occurred_at, None)
    (dead,) = await world.read(f"{topic}.dead")
    assert dead.value() == b"no JSON"
