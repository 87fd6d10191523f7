"""The budget of the portfolio on a real Postgres: all campaigns share it, and an unposted message gives back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from domain.lifecycle import Action
from domain.portfolio import PortfolioBudget
from schemas.jobs import SendJob
from schemas.model import CampaignId
from tables import closing, explanations, ledger, portfolio, release_pages, releases, stats
from tables.database import Connection
from tables.ledger import Claim, ClaimResult, Settlement
from tables.release_memory import ReleaseMemory
from tables.releases import Rates
from tests.support.world import FAST, World

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
AGE = "UPDATE portfolio_charges SET bucket = bucket - %s * interval '1 hour'"
AGE_BUCKETS = "UPDATE portfolio_buckets SET began_at = began_at - %s * interval '1 hour'"


def limited(people: int) -> Rates:
    return replace(FAST, portfolio=PortfolioBudget(people))


async def released(world: World, people: int) -> list[SendJob]:
    return [*(await world.release(limited(people))).jobs]


async def used(world: World) -> int:
    assert await portfolio.recount(world.connection) == []
    return (await portfolio.read(world.connection)).used


async def pass_hours(world: World, hours: float) -> None:
    await world.run(AGE, hours)
    await world.run(AGE_BUCKETS, hours)


async def end(world: World, jobs: list[SendJob], outcome: str) -> None:
    """Claim the jobs, and settle them."""
    token = uuid4()
    assert set(await world.claim(jobs, token=token)) == {ClaimResult.CLAIMED}
    claims = [Claim(job.recipient_id, job.attempt, token) for job in jobs]
    await ledger.settle(world.connection, [Settlement(claim, outcome, "{}") for claim in claims])


async def add_same_people(world: World, campaign: CampaignId, count: int) -> CampaignId:
    """Another campaign to the first recipients of a campaign."""
    other = await world.create_campaign(0)
    await world.run(
        "INSERT INTO campaign_recipients (campaign_id, phone_number, scheduled_send_date)"
        " SELECT %s, phone_number, now() FROM campaign_recipients WHERE campaign_id = %s"
        " ORDER BY phone_number LIMIT %s",
        other, campaign, count,
    )  # fmt: skip
    await world.act(other, Action.ACTIVATE)
    return other


async def test_all_campaigns_and_numbers_share_the_budget(world: World) -> None:
    first, second = await world.start_campaign(10, number="1"), await world.start_campaign(10, number="2")
    jobs = await released(world, 6)
    assert [sum(job.campaign_id == each for job in jobs) for each in (first, second)] == [3, 3]
    assert await released(world, 6) == []
    assert await used(world) == 6
    assert len(await released(world, 8)) == 2, "a larger budget of the settings holds at once"


async def test_a_message_may_be_posted_only_while_its_bucket_is_young(world: World) -> None:
    await world.start_campaign(1)
    (job,) = await released(world, 5)
    assert timedelta(minutes=9) < job.send_before - datetime.now(UTC) <= timedelta(minutes=15)


async def test_people_stop_counting_after_a_day(world: World) -> None:
    await world.start_campaign(5)
    await released(world, 3)
    await pass_hours(world, 24)
    assert await released(world, 3) == [], "the messages may have been posted a quarter of an hour later"
    await pass_hours(world, 0.25)
    assert len(await released(world, 3)) == 2
    await portfolio.settle(world.connection)
    assert await world.value("SELECT count(*)::int FROM portfolio_charges") == 2
    assert await world.value("SELECT count(*)::int FROM portfolio_buckets") == 1


async def test_a_person_counts_once_and_from_the_newest_message(world: World) -> None:
    campaign = await world.start_campaign(4)
    await end(world, await released(world, 6), "accepted")
    await pass_hours(world, 20)
    await add_same_people(world, campaign, 2)
    assert len(await released(world, 6)) == 2
    assert await used(world) == 4
    await pass_hours(world, 5)
    assert await used(world) == 2, "two got a message five hours ago"


@pytest.mark.parametrize(("outcome", "left"), [("deferred", 0), ("expired", 0), ("rejected", 3), ("unknown", 3)])
async def test_what_was_not_posted_is_given_back_once(world: World, outcome: str, left: int) -> None:
    await world.start_campaign(3)
    jobs = await released(world, 3)
    await end(world, jobs, outcome)
    await portfolio.settle(world.connection)
    assert await used(world) == left
    await world.run("INSERT INTO portfolio_returns (recipient_id, attempt) VALUES (%s, 1)", jobs[0].recipient_id)
    await portfolio.settle(world.connection)
    assert await used(world) == left - (left > 0)


async def test_a_person_with_an_earlier_message_keeps_that_charge(world: World) -> None:
    campaign = await world.start_campaign(1)
    await end(world, await released(world, 3), "accepted")
    await pass_hours(world, 20)
    await add_same_people(world, campaign, 1)
    await end(world, await released(world, 3), "deferred")
    await portfolio.settle(world.connection)
    assert await used(world) == 1
    await pass_hours(world, 5)
    assert await used(world) == 0, "the message of 25 hours ago was the only one"


async def test_a_refused_claim_and_an_old_release_give_back(world: World) -> None:
    await world.start_campaign(2)
    refused, forgotten = await released(world, 2)
    await world.run("UPDATE releases SET send_before = now() WHERE recipient_id = %s", refused.recipient_id)
    assert await world.claim([refused]) == [ClaimResult.EXPIRED]
    await world.run("UPDATE campaign_recipients SET attempt = 2 WHERE id = %s", forgotten.recipient_id)
    await release_pages.forget_answered(world.connection, -1, 100)
    await portfolio.settle(world.connection)
    assert await used(world) == 0


async def test_a_cancelled_campaign_gives_back_what_is_not_claimed(world: World) -> None:
    campaign = await world.start_campaign(3)
    jobs = await released(world, 3)
    await world.claim(jobs[:1])
    await world.act(campaign, Action.CANCEL)
    await closing.skip_chunk(await world.releaser(), campaign, 10)
    await portfolio.settle(world.connection)
    assert await used(world) == 1


async def test_two_releasers_together_stay_within_the_budget(world: World) -> None:
    await world.start_campaign(100, number="1"), await world.start_campaign(100, number="2")
    async with world.another("second") as second:

        async def work(connection: Connection) -> int:
            return len((await releases.release_step(connection, limited(50), ReleaseMemory())).jobs)

        both = await asyncio.gather(work(await world.releaser()), work(second))
    assert sum(both) == await used(world) == 50


async def test_the_lower_limit_of_meta_holds_and_the_latest_report_wins(world: World) -> None:
    await world.start_campaign(10)
    await portfolio.report_limit(world.connection, 4, NOON)
    await portfolio.report_limit(world.connection, 9, NOON - timedelta(hours=1))
    assert len(await released(world, 6)) == 4
    await portfolio.report_limit(world.connection, -1, NOON + timedelta(hours=1))
    assert len(await released(world, 6)) == 2
    use = await portfolio.read(world.connection)
    assert (use.people_max, use.reported, use.used, use.left) == (6, -1, 6, 0)


async def test_an_explanation_names_the_budget_and_its_next_time(world: World) -> None:
    campaign = await world.start_campaign(10, limit=8)
    await released(world, 5)
    (group,) = [
        each
        for each in (await explanations.read(world.connection, campaign)).reasons
        if each.reason == "portfolio_budget"
    ]
    assert (group.recipients, group.detail) == (3, "5 of 5 people in 24 hours")
    assert group.next_at is not None
    assert timedelta(hours=24) < group.next_at - datetime.now(UTC) < timedelta(hours=24, minutes=16)
    await portfolio.configure(world.connection, None)
    assert "portfolio_budget" not in [
        each.reason for each in (await explanations.read(world.connection, campaign)).reasons
    ]


async def test_without_a_budget_nothing_is_charged(world: World) -> None:
    await world.start_campaign(3)
    assert len((await world.release()).jobs) == 3
    assert await world.value("SELECT count(*)::int FROM portfolio_charges") == 0
    assert await portfolio.settle(world.connection) == 0


async def test_without_work_a_settlement_takes_no_lock_and_writes_nothing(world: World) -> None:
    await world.start_campaign(2)
    await released(world, 2)
    async with asyncio.timeout(10), world.another() as second, second.transaction():
        await second.execute("SELECT FROM portfolio FOR UPDATE")
        assert await portfolio.settle(world.connection) == 0


async def test_a_wrong_bucket_is_found(world: World) -> None:
    await world.start_campaign(3)
    await released(world, 3)
    await world.run("UPDATE portfolio_buckets SET people = 5")
    (found,) = await portfolio.recount(world.connection)
    assert (found.stored, found.counted) == (5, 3)


async def test_the_estimated_end_knows_when_the_budget_lets_the_last_one_through(world: World) -> None:
    campaign, other = await world.start_campaign(12), await world.start_campaign(3)
    await portfolio.configure(world.connection, PortfolioBudget(5))
    assert len(await released(world, 5)) == 5
    waiting = (await world.statuses(campaign))["pending"], (await world.statuses(other))["pending"]
    budget, now = PortfolioBudget(5), (await stats.read_one(world.connection, campaign)).as_of
    [(bucket, people)] = await portfolio.read_buckets(world.connection, budget, now)
    assert (people, sum(waiting)) == (5, 10)
    # The other one is done earlier, so all ten go before the last one of this campaign: five, and five a period later.
    expected = budget.free_at(bucket) + budget.period
    found = (await stats.read_one(world.connection, campaign)).eta
    assert found is not None
    assert timedelta(0) <= found - expected <= timedelta(seconds=1)
    assert (await stats.read_one(world.connection, other)).eta is not None
    await portfolio.configure(world.connection, None)
    assert (await stats.read_one(world.connection, campaign)).eta is None, (
        "nothing was handled, and nothing waits for it"
    )
