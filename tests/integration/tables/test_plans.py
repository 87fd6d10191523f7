"""Plans on a real Postgres: the counters by prefix, the limits that hold, and what a sample shows."""

from __future__ import annotations

from dataclasses import replace

from domain.dialling import ISLANDS, TWO_DIGITS, prefix_of
from domain.frequency import FrequencyCap
from domain.lifecycle import Action
from domain.portfolio import PortfolioBudget
from schemas.model import CampaignId
from tables import campaigns, frequency, plans, portfolio, stats
from tables.new_recipients import NewRecipient
from tables.plans import CampaignPlan
from tests.support.world import FAST, World

HEADS = [
    *TWO_DIGITS, *ISLANDS, "1", "7", "76", "77", "351", "999", "800", "0", "", "x", "user:DE.1", "user:de.1", "user:1",
    "user:", "+49", "4\n9", "١٢٣٤",
]  # fmt: skip


async def plan(world: World, campaign: CampaignId, people: int | None = None) -> CampaignPlan:
    rates = FAST if people is None else replace(FAST, portfolio=PortfolioBudget(people))
    return await plans.read(world.connection, await campaigns.read(world.connection, campaign), rates)


async def test_the_function_of_sql_is_the_pure_one(world: World) -> None:
    persons = [head + "46946527519"[: 12 - len(head)] for head in HEADS] + HEADS
    rows = await world.run("SELECT p, prefix_of(p) FROM unnest(%s::text[]) AS p", persons)
    assert [(person, found) for person, found in rows if prefix_of(person) != found] == []


async def test_recipients_are_counted_by_prefix_for_every_writer(world: World) -> None:
    campaign = await world.create_campaign(2)
    new = [NewRecipient("4915112345678"), NewRecipient(None, user_id="BR.15025")]
    await campaigns.add_recipients(world.connection, campaign, new)
    assert dict((await plan(world, campaign)).prefixes) == {"1": 2, "49": 1, "BR": 1}
    await world.run("UPDATE campaign_recipients SET phone_number = '351912345678' WHERE phone_number LIKE '49%%'")
    await world.run("DELETE FROM campaign_recipients WHERE user_id IS NOT NULL")
    assert dict((await plan(world, campaign)).prefixes) == {"1": 2, "351": 1}
    assert await stats.recount(world.connection, campaign) == []


async def test_a_draft_is_planned_with_its_limits_and_the_budget(world: World) -> None:
    campaign = await world.create_campaign(10, limit=4)
    found = await plan(world, campaign)
    assert (found.total, found.to_send, found.sharing) == (10, 10, 1)
    assert found.plan is not None
    assert ([each.recipients for each in found.plan.days], found.plan.limits) == ([4, 4, 2], ("daily_limit",))
    other = await world.start_campaign(3)
    budget = PortfolioBudget(5)
    await world.release(replace(FAST, portfolio=budget))
    found = await plan(world, campaign, 5)
    assert found.plan is not None
    assert [each.recipients for each in found.plan.days][:2] == [2, 4], "three of five count already"
    await portfolio.report_limit(world.connection, 4, found.as_of)
    found = await plan(world, campaign, 5)
    assert found.plan is not None
    assert found.plan.days[0].recipients == 1
    assert (await plan(world, other, 5)).to_send == 0


async def test_an_active_campaign_is_planned_from_where_it_is(world: World) -> None:
    campaign = await world.start_campaign(10, limit=4)
    await world.release()
    found = await plan(world, campaign)
    assert (found.to_send, found.plan.days[0].recipients if found.plan else None) == (6, 4)
    await world.run("UPDATE marketing_campaigns SET time_zone = 'Nowhere' WHERE id = %s", campaign)
    assert (await plan(world, campaign)).plan is None


async def test_the_waits_of_the_canary_are_in_the_plan(world: World) -> None:
    campaign = await world.create_campaign(600, canary=True)
    found = await plan(world, campaign)
    assert found.plan is not None
    assert found.plan.limits == ("canary",)
    await world.act(campaign, Action.ACTIVATE)
    await world.release()
    await world.run("UPDATE campaign_canaries SET released = allowed, filled_at = now()")
    again = await plan(world, campaign)
    assert again.plan is not None
    assert again.plan.limits == ("canary",)


async def test_a_sample_shows_who_will_be_skipped(world: World) -> None:
    campaign = await world.create_campaign(5)
    await world.run(
        "INSERT INTO subscriptions (person, source, subscribed, occurred_at)"
        " VALUES ('15550000000', 'operator', false, now())"
    )
    await world.run("UPDATE campaign_recipients SET template_parameters = '5' WHERE phone_number = '15550000001'")
    sample = (await plan(world, campaign)).sample
    assert (sample.examined, sample.opted_out, sample.same_person, sample.invalid) == (5, 1, 0, 1)
    await world.act(campaign, Action.ACTIVATE)
    await world.run("UPDATE campaign_recipients SET scheduled_send_date = now()")
    assert (await plan(world, campaign)).sample == sample


async def test_people_of_other_campaigns_and_those_above_the_cap_are_subtracted(world: World) -> None:
    campaign, other = await world.create_campaign(4), await world.create_campaign(0)
    rows = await world.run("SELECT phone_number FROM campaign_recipients WHERE campaign_id = %s ORDER BY 1", campaign)
    numbers = [row[0] for row in rows]
    await campaigns.add_recipients(world.connection, other, [NewRecipient(each) for each in numbers[:1]])
    await world.run(
        "UPDATE marketing_campaigns SET exclude_campaigns = %s, exclude_recipients = 'all' WHERE id = %s",
        [other], campaign,
    )  # fmt: skip
    found = await plan(world, campaign)
    assert (found.sample.excluded, found.sample.capped, found.sample.skipped) == (1, 0, 1)
    assert (found.to_send, found.expected) == (4, 3)
    assert found.plan is not None
    assert [each.recipients for each in found.plan.days] == [3]
    await frequency.write_cap(world.connection, FrequencyCap(1, 7))
    earlier = await world.create_campaign(0)
    await campaigns.add_recipients(world.connection, earlier, [NewRecipient(each) for each in numbers[:3]])
    await world.act(earlier, Action.ACTIVATE)
    jobs = (await world.release()).jobs
    assert len(jobs) == 3
    await world.claim(list(jobs))
    found = await plan(world, campaign)
    assert (found.sample.capped, found.sample.skipped, found.expected) == (3, 1, 3), "they wait for the cap"
    await world.run("UPDATE marketing_campaigns SET cap_wait_days = 0 WHERE id = %s", campaign)
    found = await plan(world, campaign)
    assert (found.sample.capped, found.sample.skipped, found.expected) == (3, 3, 1)
