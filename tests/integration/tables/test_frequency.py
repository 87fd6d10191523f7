"""The frequency cap on a real Postgres: over campaigns, links and outcomes, as the pure rules judge."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from domain.frequency import OUTCOME_WAIT, CapVerdict, FrequencyCap, judge
from domain.lifecycle import Action
from domain.people import PersonKey
from schemas.jobs import SendJob
from schemas.model import CampaignId
from tables import campaigns, editing, explanations, frequency, ledger, planning, stats, test_sends
from tables.ledger import Claim, ClaimResult, Settlement
from tables.new_recipients import NewRecipient
from tables.person_links import link_keys
from tables.releases import ReleaseStep, release_step
from tests.support.world import FAST, World

WEEK = FrequencyCap(messages=1, days=7)
NUMBER = "15550000000"
USER = "US.13491208655302741918"


async def start(world: World, *people: NewRecipient, **settings: object) -> CampaignId:
    """Start a campaign to these people, with settings of the cap."""
    campaign = await world.create_campaign(0)
    await campaigns.add_recipients(world.connection, campaign, people or (NewRecipient(NUMBER),))
    await editing.edit(world.connection, campaign, settings)
    await world.act(campaign, Action.ACTIVATE)
    return campaign


async def settle(world: World, job: SendJob, outcome: str = "accepted") -> None:
    """Claim a job and write its outcome."""
    token = uuid4()
    assert await world.claim([job], token=token) == [ClaimResult.CLAIMED]
    claim = Claim(job.recipient_id, job.attempt, token)
    await ledger.settle(world.connection, [Settlement(claim, outcome, "{}", f"wamid.{token}")])


async def release_one(world: World) -> SendJob:
    (job,) = (await world.release()).jobs
    return job


async def row(world: World, campaign: CampaignId) -> tuple[str, int, datetime | None, str | None]:
    """Status, attempt, due time and skip reason of the only recipient."""
    (found,) = await world.run(
        "SELECT status, attempt, next_attempt_at, skip_reason FROM campaign_recipients WHERE campaign_id = %s", campaign
    )
    assert await stats.recount(world.connection, campaign) == []
    return found[0], found[1], found[2], found[3]


async def test_without_a_cap_every_campaign_sends(world: World) -> None:
    await start(world), await start(world), await start(world)
    assert len((await world.release()).jobs) == 3
    assert await world.count("person_attempts") == 3, "a cap that is set later counts them"


async def test_a_recipient_above_the_cap_waits_until_it_allows_the_message(world: World) -> None:
    await start(world)
    await settle(world, await release_one(world))
    await frequency.write_cap(world.connection, WEEK)
    capped = await start(world)
    assert await world.release() == ReleaseStep(is_more=True)
    posted_at = await world.value("SELECT outcome_at FROM send_ledger WHERE outcome = 'accepted'")
    assert await row(world, capped) == ("queued", 1, posted_at + timedelta(days=7), None)
    assert await world.budget_used(capped) == 0
    (group,) = (await explanations.read(world.connection, capped)).reasons
    assert (group.reason, group.recipients, group.next_at, group.detail) == (
        "frequency_cap", 1, posted_at + timedelta(days=7), "at most 1 in 7 days"
    )  # fmt: skip
    (event,) = await world.run("SELECT event FROM send_ledger WHERE campaign_id = %s", capped)
    stated = json.loads(event[0])
    assert (stated["kind"], stated["attempt"]) == ("deferred", 1)
    assert datetime.fromisoformat(stated["not_before"]) == posted_at + timedelta(days=7)
    await age(world, timedelta(days=7))
    assert (await release_one(world)).attempt == 2


async def age(world: World, by: timedelta) -> None:
    """Let time pass: everything that the cap reads is older."""
    await world.run("UPDATE send_ledger SET outcome_at = outcome_at - %s", by)
    await world.run("UPDATE person_attempts SET released_at = released_at - %s", by)
    await world.run("UPDATE releases SET send_before = send_before - %s", by)
    await world.run("UPDATE campaign_recipients SET deferred_until = deferred_until - %s", by)


async def test_a_recipient_that_may_not_wait_is_skipped(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    await start(world)
    await settle(world, await release_one(world))
    at_once, three, eight = [await start(world, cap_wait_days=days) for days in (0, 3, 8)]
    step = await world.release()
    assert (step.jobs, step.skipped) == ((), 2)
    for skipped in (at_once, three):
        assert await row(world, skipped) == ("skipped", 1, None, "frequency_capped")
        (group,) = (await explanations.read(world.connection, skipped)).reasons
        assert (group.reason, group.recipients) == ("frequency_capped", 1)
    assert (await row(world, eight))[0] == "queued"


async def test_an_exempt_campaign_sends_and_its_messages_count(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    for _ in range(2):
        await start(world, frequency_capped=False)
        await settle(world, await release_one(world))
    capped = await start(world)
    assert (await world.release()).jobs == ()
    await editing.edit(world.connection, capped, {"frequency_capped": False})
    await world.run("UPDATE campaign_recipients SET deferred_until = now() WHERE campaign_id = %s", capped)
    await settle(world, await release_one(world))


async def test_a_test_send_is_exempt_and_does_not_count(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    tested = await campaigns.read(world.connection, await start(world))
    job = await release_one(world)
    await planning.plan_now(world.connection, await test_sends.start(world.connection, tested, [NewRecipient(NUMBER)]))
    await settle(world, await release_one(world))
    await settle(world, job)
    await planning.plan_now(world.connection, await test_sends.start(world.connection, tested, [NewRecipient(NUMBER)]))
    await settle(world, await release_one(world))
    assert await world.count("person_attempts") == 1


async def test_of_two_campaigns_in_one_step_one_is_released_and_the_other_awaits_its_outcome(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    both = {await start(world), await start(world)}
    job = await release_one(world)
    (other,) = both - {job.campaign_id}
    for _ in range(2):
        status, attempt, due_at, _reason = await row(world, other)
        assert due_at is not None
        assert (status, attempt) == ("queued", 1), "waiting for the cap uses up one attempt at most"
        assert timedelta() < due_at - datetime.now(UTC) <= OUTCOME_WAIT
        await world.run("UPDATE campaign_recipients SET deferred_until = now() - interval '1 second'")
        assert (await world.release()).jobs == ()
    await settle(world, job, "rejected")
    await world.run("UPDATE campaign_recipients SET deferred_until = now() WHERE campaign_id = %s", other)
    assert ((await release_one(world)).campaign_id, (await row(world, other))[1]) == (other, 2)


async def test_a_message_that_failed_later_does_not_count_and_an_unknown_one_does(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    first = await start(world)
    await settle(world, await release_one(world))
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 2, failed_attempts = 2, failed_attempt = 1,"
        " failed_at = now(), failure_class = 'never', failure_backoff_s = 0 WHERE campaign_id = %s", first,
    )  # fmt: skip
    await start(world)
    await settle(world, await release_one(world), "unknown")
    await start(world)
    assert (await world.release()).jobs == ()


async def test_the_cap_holds_over_every_key_of_a_human(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    await start(world, NewRecipient(NUMBER))
    await settle(world, await release_one(world))
    await link_keys(world.connection, {(PersonKey(NUMBER), PersonKey(f"user:{USER}")): True})
    await start(world, NewRecipient(None, user_id=USER))
    assert (await world.release()).jobs == ()


async def test_a_link_that_comes_after_the_release_defers_the_claim_and_the_renewal(world: World) -> None:
    await frequency.write_cap(world.connection, WEEK)
    await start(world, NewRecipient(NUMBER)), await start(world, NewRecipient(None, user_id=USER))
    first, second = sorted((await world.release()).jobs, key=lambda job: job.phone_number is None)
    await start(world, NewRecipient("15550000009"))
    third = await release_one(world)
    token = uuid4()
    assert await world.claim([third], token=token) == [ClaimResult.CLAIMED]
    await settle(world, first)
    assert await world.claim([third], token=token) == [ClaimResult.CLAIMED]
    others = (f"user:{USER}", "15550000009")
    await link_keys(world.connection, {(PersonKey(NUMBER), PersonKey(other)): True for other in others})
    assert await world.claim([second]) == [ClaimResult.DEFERRED]
    claim = Claim(third.recipient_id, third.attempt, token)
    renewed = await ledger.renew(world.connection, [claim], 45)
    assert renewed[claim.key].verdict is ClaimResult.DEFERRED
    assert (await world.release()).jobs == (), "the release knows the link now"


async def test_a_second_releaser_waits_for_the_first_one(world: World) -> None:
    """Otherwise both would release a message to the same person."""
    await frequency.write_cap(world.connection, WEEK)
    await start(world)
    async with world.another() as other, other.transaction():
        assert await frequency.lock_cap(other) == WEEK
        step = asyncio.create_task(release_step(await world.releaser(), FAST))
        await world.wait_for_blocked("test-releaser")
    assert len((await step).jobs) == 1


async def test_a_cap_is_set_changed_and_removed(world: World) -> None:
    assert await frequency.read_cap(world.connection) is None
    for cap in (WEEK, FrequencyCap(3, 30)):
        await frequency.write_cap(world.connection, cap)
        assert await frequency.read_cap(world.connection) == cap
    await frequency.remove_cap(world.connection)
    assert await frequency.lock_cap(world.connection) is None


HUMANS = 60
STATES = ("released", "late", "claimed", "accepted", "unknown", "rejected", "deferred", "failed", "pruned")


async def test_a_release_judges_as_the_pure_rules(world: World) -> None:
    """Generated histories of many humans, each with messages in every state."""
    random = Random(7)
    cap = FrequencyCap(2, 5)
    await frequency.write_cap(world.connection, cap)
    numbers = [str(15_550_000_000 + n) for n in range(HUMANS)]
    now = await world.value("SELECT now()")
    known: dict[str, tuple[list[datetime], int]] = {}
    for number in numbers:
        posted, is_open = list[datetime](), 0
        for state in random.choices(STATES, k=random.randint(0, 5)):
            at = now - timedelta(days=random.randint(0, 6), hours=6)
            await add_message(world, number, state, at)
            posted += [at] if state in ("accepted", "unknown", "pruned") else []
            is_open += state in ("released", "claimed")
        known[number] = posted, is_open
    campaign = await start(world, *map(NewRecipient, numbers), cap_wait_days=3)
    planned = dict(await world.run(
        "SELECT phone_number, scheduled_send_date FROM campaign_recipients WHERE campaign_id = %s", campaign
    ))  # fmt: skip
    released = {job.phone_number for job in (await world.release()).jobs}
    found = await world.run(
        "SELECT phone_number, skip_reason, next_attempt_at FROM campaign_recipients WHERE campaign_id = %s", campaign
    )
    verdicts = set()
    for number, skip_reason, due_at in found:
        expected = judge(*known[number], cap, now=now, waits_until=planned[number] + timedelta(days=3))
        verdicts.add(expected.verdict)
        assert (number in released) is (expected.verdict is CapVerdict.SEND), known[number]
        assert (skip_reason == "frequency_capped") is (expected.verdict is CapVerdict.SKIP), known[number]
        if expected.until is not None:
            assert timedelta() <= due_at - expected.until < timedelta(minutes=5), known[number]
    assert verdicts == set(CapVerdict)
    assert await stats.recount(world.connection, campaign) == []


async def add_message(world: World, number: str, state: str, at: datetime) -> None:
    """Add an attempt of another campaign in this state."""
    recipient, campaign = UUID(int=uuid4().int), await world.add_campaign()
    bits = {"failed": (2, 2), "pruned": (2, 0)}.get(state, (0, 0))
    await world.run(
        "INSERT INTO campaign_recipients (id, campaign_id, phone_number, attempt, accepted_attempts, failed_attempts)"
        " VALUES (%s, %s, %s, 1, %s, %s)", recipient, campaign, number, *bits,
    )  # fmt: skip
    await world.run("INSERT INTO person_attempts VALUES (%s, %s, %s, 1)", number, at, recipient)
    if state in ("released", "late"):
        await world.run(
            "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)"
            " VALUES (%s, 1, %s, '9', now() + %s, now())",
            recipient, campaign, timedelta(hours=1 if state == "released" else -1),
        )  # fmt: skip
    elif state != "pruned":
        outcome = {"claimed": None, "failed": "accepted"}.get(state, state)
        await world.run(
            "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
            " outcome, outcome_at, event) VALUES (%s, 1, %s, now(), now(), gen_random_uuid(), now(), %s, %s, %s)",
            recipient, campaign, outcome, outcome and at, outcome and "{}",
        )  # fmt: skip
