"""Explanations on a real Postgres: the counters of the triggers, of the recount, and of the pure rules are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.lifecycle import Action
from domain.waiting import kind_of
from schemas.model import CampaignId
from tables import explanations, stats
from tables.campaigns import UnknownCampaign
from tables.explanations import Explanation
from tables.release_memory import FIRST_ID
from tests.support.boundaries import ROWS
from tests.support.world import World

WAITS = {
    "deferred": "attempt = 1, deferred_attempt = 1, deferred_until = now()",
    "frequency_cap": "attempt = 1, deferred_attempt = 1, deferred_until = '2100-01-01', capped_until = '2100-01-01'",
    "expired": "attempt = 1, expired_attempt = 1, expired_until = now()",
    "requested_unknown": "attempt = 1, unknown_attempt = 1, retry_attempt = 1",
    "requested": "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_class = 'never',"
    " failure_backoff_s = 0, retry_attempt = 1",
    "held_back": "attempt = 1, failed_attempts = 2, held_back_attempts = 2, failed_attempt = 1, failed_at = now(),"
    " failure_class = 'held_back', failure_backoff_s = 86400, failure_code = 131049",
    "backoff": "attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_class = 'backoff',"
    " failure_backoff_s = 600",
}


async def explained(world: World, campaign: CampaignId) -> dict[str, int]:
    found = await explanations.read(world.connection, campaign)
    assert sum(group.recipients for group in found.reasons) + found.with_message == found.total
    return {group.reason.value: group.recipients for group in found.reasons}


async def test_every_kind_of_wait_is_counted_and_explained(world: World) -> None:
    campaign = await world.start_campaign(10)
    ids = [row[0] for row in await world.run("SELECT id FROM campaign_recipients ORDER BY id")]
    for recipient, facts in zip(ids, WAITS.values(), strict=False):
        await world.run(f"UPDATE campaign_recipients SET {facts} WHERE id = %s", recipient)
    counted = await world.run(
        "SELECT key, sum(n)::int FROM campaign_counter_deltas WHERE dimension = 'wait' AND campaign_id = %s GROUP BY 1",
        campaign,
    )
    assert dict(counted) == {**dict.fromkeys(WAITS, 1), "planned": 3}
    assert await stats.recount(world.connection, campaign) == []
    assert await explained(world, campaign) == {"backoff": 1, "held_back": 1, "frequency_cap": 1, "in_turn": 7}
    (held,) = [each for each in (await read(world, campaign)).reasons if each.reason == "held_back"]
    assert held.next_at is not None
    assert timedelta(hours=23) < held.next_at - datetime.now(UTC) < timedelta(hours=25)
    await world.act(campaign, Action.PAUSE)
    assert await explained(world, campaign) == {"paused": 10}


async def read(world: World, campaign: CampaignId) -> Explanation:
    return await explanations.read(world.connection, campaign)


async def test_the_limit_of_the_day_and_what_is_released(world: World) -> None:
    campaign = await world.start_campaign(10, limit=4)
    assert await explained(world, campaign) == {"in_turn": 4, "daily_limit": 6}
    assert len((await world.release()).jobs) == 4
    assert await explained(world, campaign) == {"in_flight": 4, "daily_limit": 6}


async def test_countries_whose_window_is_closed(world: World) -> None:
    campaign = await world.create_campaign(3)
    await world.run("UPDATE marketing_campaigns SET window_zone = 'recipient' WHERE id = %s", campaign)
    await world.act(campaign, Action.ACTIVATE)
    assert await explained(world, campaign) == {"in_turn": 3}
    await world.run("UPDATE marketing_campaigns SET window_from = '00:00', window_to = '01:00' WHERE id = %s", campaign)
    (group,) = (await read(world, campaign)).reasons
    assert (group.reason, group.recipients, group.detail) == ("never_open", 3, "US"), "its zones are hours apart"
    assert await stats.recount(world.connection, campaign) == []


async def test_a_draft_and_no_campaign(world: World) -> None:
    assert await explained(world, await world.create_campaign(2)) == {"draft": 2}
    with pytest.raises(UnknownCampaign):
        await explanations.read(world.connection, FIRST_ID)


async def test_the_keys_of_the_triggers_are_the_kinds_of_the_pure_rules(world: World) -> None:
    for name, row in ROWS.items():
        if row.due_at is None:
            continue
        facts = row.facts
        failure = facts.failure
        key = await world.value(
            "SELECT wait_counter_key(%s, now(), %s::smallint, %s::smallint, NULL, %s::smallint, %s)",
            row.status.value, facts.attempt, facts.deferred.attempt if facts.deferred else None, facts.retry_attempt,
            failure.retry_class.value if failure else None,
        )  # fmt: skip
        assert key == kind_of(facts), name
