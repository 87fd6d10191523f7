"""The pair limit on a real Postgres: the second message of a number to a person waits, unspent, and then goes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

import pytest

from domain.lifecycle import Action
from domain.pairs import PairAttempt, PairState, is_busy
from domain.people import PersonKey
from schemas.jobs import SendJob
from schemas.model import CampaignId
from tables import campaigns, explanations, ledger, person_links
from tables.ledger import Claim, Settlement
from tables.new_recipients import NewRecipient
from tables.release_memory import ReleaseMemory
from tables.releases import release_step
from tests.support.world import FAST, NUMBER_ID, World

PAIRED = replace(FAST, pair_s=6.0)
AGE = "UPDATE send_ledger SET outcome_at = outcome_at - %s * interval '1 second'"


async def released(world: World) -> list[SendJob]:
    return [*(await world.release(PAIRED)).jobs]


async def add_same_people(world: World, campaign: CampaignId, number: str = NUMBER_ID) -> CampaignId:
    other = await world.create_campaign(0, number=number)
    await world.run(
        "INSERT INTO campaign_recipients (campaign_id, phone_number, scheduled_send_date)"
        " SELECT %s, phone_number, now() FROM campaign_recipients WHERE campaign_id = %s",
        other, campaign,
    )  # fmt: skip
    await world.act(other, Action.ACTIVATE)
    return other


async def settle(world: World, jobs: list[SendJob], outcome: str) -> None:
    token = uuid4()
    await world.claim(jobs, token=token)
    claims = [Claim(job.recipient_id, job.attempt, token) for job in jobs]
    await ledger.settle(world.connection, [Settlement(claim, outcome, "{}") for claim in claims])


async def test_the_second_message_waits_unspent_until_six_seconds_after_the_first(world: World) -> None:
    first = await world.start_campaign(2)
    second = await add_same_people(world, first)
    jobs = await released(world)
    assert {job.campaign_id for job in jobs} == {min(first, second)}, "campaigns are released in the order of their ids"
    later = max(first, second)
    assert await released(world) == []
    await settle(world, jobs, "accepted")
    await world.run(AGE, 5)
    assert await released(world) == []
    found = await explanations.read(world.connection, later, pair_s=6.0)
    assert [(each.reason.value, each.recipients) for each in found.reasons] == [("pair_limit", 2)]
    assert found.reasons[0].next_at is not None
    assert found.reasons[0].next_at - found.as_of < timedelta(seconds=1.5)
    await world.run(AGE, 1)
    again = await released(world)
    assert [(job.campaign_id, job.attempt) for job in again] == [(later, 1)] * 2
    assert await world.budget_used(later) == 2
    found = await explanations.read(world.connection, later, pair_s=6.0)
    assert [each.reason.value for each in found.reasons] == ["in_flight"]


@pytest.mark.parametrize("way", [["15550000000", "user:US.1"], ["15550000000", "user:US.2", "user:US.1"]])
async def test_a_human_under_a_linked_key_waits_too(world: World, way: list[str]) -> None:
    first = await world.start_campaign(1)
    jobs = await released(world)
    await settle(world, jobs, "accepted")
    links = {(PersonKey(min(pair)), PersonKey(max(pair))): True for pair in pairwise(way)}
    await person_links.link_keys(world.connection, links)
    second = await world.create_campaign(0)
    await campaigns.add_recipients(world.connection, second, [NewRecipient(None, user_id="US.1")])
    await world.act(second, Action.ACTIVATE)
    assert (await world.value("SELECT person FROM campaign_recipients WHERE campaign_id = %s", first)) == way[0]
    assert await released(world) == []
    found = await explanations.read(world.connection, second, pair_s=6.0)
    assert sum(each.recipients for each in found.reasons) == 1
    if len(way) == 2:
        assert [each.reason.value for each in found.reasons] == ["pair_limit"]
    await world.run(AGE, 6)
    assert [job.campaign_id for job in await released(world)] == [second]


async def test_another_number_does_not_wait(world: World) -> None:
    first = await world.start_campaign(2)
    await add_same_people(world, first, number="2")
    assert len(await released(world)) == 4


async def test_without_the_limit_nobody_waits(world: World) -> None:
    await add_same_people(world, await world.start_campaign(2))
    assert len((await world.release()).jobs) == 4


async def test_those_that_wait_hold_up_nobody_behind_them(world: World) -> None:
    """A step takes two rows. The first two wait, so the next step goes on behind them."""
    first = await world.start_campaign(2)
    await settle(world, await released(world), "accepted")
    second = await add_same_people(world, first)
    await world.import_recipients(second, 2)
    await world.run(
        "UPDATE campaign_recipients SET scheduled_send_date = now() - (6 - rank) * interval '1 minute'"
        " FROM (SELECT id AS of, row_number() OVER (ORDER BY phone_number) AS rank FROM campaign_recipients"
        " WHERE campaign_id = %s) AS ranked WHERE id = of",
        second,
    )
    memory, connection = ReleaseMemory(), await world.releaser()
    slow = replace(PAIRED, mps=2)
    await world.run("UPDATE number_rates SET tokens = 2")
    first_step = await release_step(connection, slow, memory)
    assert (first_step.jobs, first_step.is_more) == ((), True)
    assert len((await release_step(connection, slow, memory)).jobs) == 2


STATES = {
    PairState.RELEASED: None, PairState.CLAIMED: "NULL",
    PairState.POSTED: "'accepted'", PairState.UNPOSTED: "'deferred'",
}  # fmt: skip


@pytest.mark.parametrize("state", PairState)
@pytest.mark.parametrize("seconds", [1.0, 20.0])
@pytest.mark.parametrize("released_s", [30.0, 1000.0])
async def test_the_statement_is_the_pure_rule(
    world: World, state: PairState, seconds: float, released_s: float
) -> None:
    await world.start_campaign(1)
    (job,) = (await world.release()).jobs
    await world.run("UPDATE person_attempts SET released_at = now() - %s * interval '1 second'", released_s)
    outcome = STATES[state]
    if outcome is not None:
        token = uuid4()
        await world.claim([job], token=token)
        if outcome != "NULL":
            claim = Claim(job.recipient_id, job.attempt, token)
            await ledger.settle(world.connection, [Settlement(claim, outcome.strip("'"), "{}")])
            await world.run("UPDATE send_ledger SET outcome_at = now() - %s * interval '1 second'", seconds)
    now = await world.value("SELECT now()")
    outcome_at = None if outcome in (None, "NULL") else now - timedelta(seconds=seconds)
    attempt = PairAttempt(state, now - timedelta(seconds=released_s), outcome_at)
    await add_same_people(world, CampaignId(job.campaign_id))
    assert (await released(world) == []) == is_busy([attempt], now)
