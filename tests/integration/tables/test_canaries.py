"""Canaries on a real Postgres: releases obey the step, the figures decide, and a person's resume begins again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from domain.lifecycle import Action, CampaignStatus
from producers.scheduler.breakers import control_event
from producers.scheduler.canaries import judge_campaigns
from schemas.model import CampaignId
from schemas.reasons import PauseReason
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from sinks.subscriptions import apply_subscriptions
from tables import breakers, campaigns, canaries, editing, explanations, opt_outs, stats
from tables.campaigns import Campaign
from tables.releases import release_step
from tests.support.world import FAST, World

FAST_CLOCK = 1e9
"""The wait of a canary is over at once."""
AUDIENCE = 600


async def start(world: World, people: int = AUDIENCE) -> CampaignId:
    return await world.start_campaign(people, canary=True)


async def read(world: World, campaign: CampaignId) -> Campaign:
    return await campaigns.read(world.connection, campaign)


async def judge(world: World, time_scale: float = FAST_CLOCK, *, are_all: bool = False) -> None:
    """Two rounds: the first one may note that the step is full, and the second one judges it."""
    for _ in range(2):
        await judge_campaigns(world.connection, time_scale, are_all=are_all)


async def answer(world: World, campaign: CampaignId, count: int, failed: int = 0, code: int = 131026) -> None:
    """So many released people get an outcome: the first of them fail, and the others are accepted."""
    rows = await world.run(
        "SELECT id FROM campaign_recipients WHERE campaign_id = %s AND status = 'queued' ORDER BY id LIMIT %s",
        campaign, count,
    )  # fmt: skip
    ids = [row[0] for row in rows]
    assert len(ids) == count
    await world.run(
        "UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = %s,"
        " failure_class = 'never', failure_backoff_s = 0 WHERE id = ANY (%s)", code, ids[:failed],
    )  # fmt: skip
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 2, accepted_attempt = 1, accepted_at = now(),"
        " sent_at = now() WHERE id = ANY (%s)", ids[failed:],
    )  # fmt: skip


async def reasons(world: World, campaign: CampaignId) -> dict[str, int]:
    found = await explanations.read(world.connection, campaign)
    assert sum(each.recipients for each in found.reasons) + found.with_message == found.total
    return {each.reason.value: each.recipients for each in found.reasons}


async def release(world: World) -> int:
    return len((await world.release()).jobs)


async def test_a_campaign_sends_in_steps_while_its_figures_are_in_order(world: World) -> None:
    campaign = await start(world)
    assert await reasons(world, campaign) == {"in_turn": 50, "canary": 550}
    assert [await release(world), await release(world)] == [50, 0]
    assert await reasons(world, campaign) == {"in_flight": 50, "canary": 550}
    await judge(world)
    assert await release(world) == 0  # nothing is known of them
    await answer(world, campaign, 50, failed=2)
    await judge(world, time_scale=1)
    assert (await stats.read_one(world.connection, campaign)).eta is None, "the first people say nothing of the rest"
    (group,) = [
        each for each in (await explanations.read(world.connection, campaign)).reasons if each.reason == "canary"
    ]
    assert group.next_at is not None
    assert timedelta(minutes=9) < group.next_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert group.detail == (
        "step 1: 50 of 50 released, 50 with an outcome, 2 failed, 0 opted out, 0 blocked, 0 unknown"
    )
    assert await release(world) == 0  # the wait is not over
    await judge(world)
    assert [await release(world), await release(world)] == [150, 0]
    await answer(world, campaign, 150)
    await judge(world)
    assert await release(world) == 400
    assert (await stats.read_one(world.connection, campaign)).eta is not None
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE
    assert await stats.recount(world.connection, campaign) == []


async def test_a_step_waits_for_the_webhooks_of_its_waiting_time(world: World) -> None:
    campaign = await start(world)
    await world.run("INSERT INTO webhook_progress (applied_through) VALUES (now() - interval '1 minute')")
    await release(world)
    await answer(world, campaign, 50)
    await judge(world)
    assert await release(world) == 0, "a failure may be on its way"
    await world.run("UPDATE webhook_progress SET applied_through = now() + interval '1 minute'")
    await judge(world)
    assert await release(world) == 150


async def test_bad_figures_pause_it_with_the_reason_and_an_event(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await answer(world, campaign, 30, failed=20)
    await judge(world, time_scale=1)  # even a good rest could not make it healthy
    paused = await read(world, campaign)
    assert paused.status is CampaignStatus.PAUSED
    assert (paused.pause_reason or "").startswith(f"{PauseReason.TOO_MANY_FAILURES}: 20 of 50 people (40.0 %)")
    (change,) = await breakers.unpublished_changes(world.connection, 10)
    event = control_event(change)
    assert (event.kind, event.scope, event.key) == ("campaign_paused", "campaign", "too_many_failures")
    assert (event.campaign_id, event.reason, event.needs_human) == (campaign, paused.pause_reason, True)
    assert await release(world) == 0


async def test_a_resume_after_bad_figures_begins_a_new_canary(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await answer(world, campaign, 50, failed=30)
    await judge(world)
    await world.act(campaign, Action.RESUME)
    await judge(world)  # the 30 of before do not count
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE
    assert [await release(world), await release(world)] == [50, 0]
    await answer(world, campaign, 50, failed=30)
    await judge(world)
    assert (await read(world, campaign)).status is CampaignStatus.PAUSED


async def test_a_pause_by_an_operator_keeps_the_step(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await world.act(campaign, Action.PAUSE)
    await world.act(campaign, Action.RESUME)
    assert await release(world) == 0
    await answer(world, campaign, 50, failed=30)
    await judge(world)
    assert (await read(world, campaign)).status is CampaignStatus.PAUSED


async def test_a_campaign_that_was_started_again_meanwhile_is_not_paused(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await answer(world, campaign, 50, failed=30)
    (judged,) = await canaries.read_active(world.connection, are_all=False)
    await world.act(campaign, Action.PAUSE)
    await world.act(campaign, Action.RESUME)
    assert not await canaries.stop(world.connection, judged, PauseReason.TOO_MANY_FAILURES, "too late")
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE


@pytest.mark.parametrize("people", [1, 499])
async def test_a_small_campaign_has_no_canary(world: World, people: int) -> None:
    campaign = await start(world, people)
    assert await release(world) == people
    assert "canary" not in await reasons(world, campaign)


async def test_people_who_are_added_later_bring_a_canary(world: World) -> None:
    campaign = await start(world, 10)
    assert await release(world) == 10
    await world.import_recipients(campaign, 400)
    assert await release(world) == 400
    await world.import_recipients(campaign, 500)
    assert [await release(world), await release(world)] == [50, 0]


async def test_it_can_be_switched_off_and_on(world: World) -> None:
    campaign = await start(world)
    assert await release(world) == 50
    await editing.edit(world.connection, campaign, {"canary": False})
    assert await release(world) == 550
    other = await world.start_campaign(AUDIENCE)
    assert await canaries.lock_room(world.connection, other) is None
    await editing.edit(world.connection, other, {"canary": True})
    assert await canaries.lock_room(world.connection, other) == 50


async def test_two_releasers_together_stay_within_the_step(world: World) -> None:
    """The second one has seen the same room, and waits for the first to commit."""
    campaign = await start(world)
    async with world.another() as other:
        async with world.connection.transaction():
            assert await canaries.lock_room(world.connection, campaign) == 50
            await canaries.charge(world.connection, campaign, 45)
        assert len((await release_step(other, FAST)).jobs) == 5


async def test_a_waiting_canary_does_not_hold_other_campaigns(world: World) -> None:
    waiting = await start(world)
    assert await release(world) == 50
    others = [await world.start_campaign(20) for _ in range(3)]
    assert await release(world) == 60
    assert (await world.statuses(waiting))["pending"] == 550
    assert [await world.statuses(each) for each in others] == [{"queued": 20}] * 3


# ------------------------------------------------------------------------------------------------ opt-outs and windows


async def opt_out(
    world: World, campaign: CampaignId, count: int, source: Source = Source.KEYWORD
) -> Sequence[SubscriptionEvent]:
    """So many people who got the message opt out."""
    people = await world.run(
        "SELECT person FROM campaign_recipients WHERE campaign_id = %s AND attempt > 0 ORDER BY id LIMIT %s",
        campaign, count,
    )  # fmt: skip
    events = [
        SubscriptionEvent(person=person, kind=SubscriptionKind.OPTED_OUT, source=source, occurred_at=datetime.now(UTC))
        for (person,) in people
    ]
    await apply_subscriptions(world.connection, events)
    return events


async def test_opt_outs_stop_a_campaign_and_are_counted_once(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await answer(world, campaign, 50)
    events = await opt_out(world, campaign, 6)
    await apply_subscriptions(world.connection, events)
    await opt_outs.attribute_due(world.connection, 100)
    assert await stats.recount(world.connection, campaign) == []
    await judge(world)
    assert ((await read(world, campaign)).pause_reason or "").startswith("too_many_opt_outs: 6 of 50 people (12.0 %)")


async def test_what_operators_enter_stops_nothing(world: World) -> None:
    campaign = await start(world)
    await release(world)
    await answer(world, campaign, 50)
    await opt_out(world, campaign, 10, Source.OPERATOR)
    assert await opt_outs.attribute_due(world.connection, 100) == 0
    await judge(world)
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE


async def test_a_campaign_without_a_canary_is_stopped_by_its_latest_people(world: World) -> None:
    campaign = await world.start_campaign(900)
    await release(world)
    await answer(world, campaign, 400, failed=10)
    await judge(world, are_all=True)
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE
    await answer(world, campaign, 400, failed=200)
    await judge(world, are_all=True)
    paused = await read(world, campaign)
    assert (paused.pause_reason or "").startswith("too_many_failures: 210 of 800 people")
    await world.act(campaign, Action.RESUME)
    await judge(world, are_all=True)
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE


async def test_a_campaign_from_before_there_were_canaries_is_judged_from_now_on(world: World) -> None:
    campaign = await world.start_campaign(900)
    await release(world)
    await answer(world, campaign, 300, failed=200)
    await world.run("DELETE FROM campaign_canaries")
    await judge(world, are_all=True)
    assert (await read(world, campaign)).status is CampaignStatus.ACTIVE
    await world.import_recipients(campaign, 600)
    assert await canaries.lock_room(world.connection, campaign) is None
    windows = await world.value("SELECT windows FROM campaign_canaries WHERE campaign_id = %s", campaign)
    assert json.loads(json.dumps(windows))["short"]["previous"]["failed"] == 200


async def test_a_full_canary_takes_no_place_of_a_probe(world: World) -> None:
    """A breaker is open, and everybody of the step has the first attempt: another campaign sends the probe."""
    campaign = await start(world)
    assert await release(world) == 50
    await world.run("INSERT INTO breakers (scope, key, opened_at, probe_at) VALUES ('account', '', now(), now())")
    assert await release(world) == 0
    assert await world.value("SELECT probe_released_at FROM breakers") is None
    assert (await world.statuses(campaign))["pending"] == 550
    await world.start_campaign(5)
    assert await release(world) == 1
