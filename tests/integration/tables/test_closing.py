"""The end of a campaign on a real Postgres: cancelled, completed and reopened, with an event for each written row."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

from domain.facts import Facts, facts_of, merge
from domain.lifecycle import Action, CampaignStatus
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import CampaignId, RecipientId
from tables import closing, ledger, stats
from tables.recipients import read_facts
from tables.releases import Rates
from tests.support.world import World

LAST_WAITS = "UPDATE campaign_recipients SET attempt = 62, expired_attempt = 62, expired_until = now() WHERE id = %s"


async def recipients_of(world: World, campaign: CampaignId) -> list[RecipientId]:
    rows = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s ORDER BY id", campaign)
    return [row[0] for row in rows]


async def unpublished_facts(world: World, before: dict[RecipientId, Facts]) -> dict[RecipientId, tuple[Facts, Facts]]:
    """The rows that differ from their events: the facts of the row, and those of its events."""
    published = dict(before)
    events = await world.run("SELECT event FROM send_ledger WHERE published_at IS NULL AND event IS NOT NULL")
    for (raw,) in events:
        event = decode(RecipientEvent, raw.encode())
        assert event.recipient_id is not None
        assert event.attempt is not None
        published[event.recipient_id] = merge(published[event.recipient_id], facts_of(event, event.attempt))
    now = await read_facts(world.connection, before)
    return {id_: (now[id_], published[id_]) for id_ in before if now[id_] != published[id_]}


async def find_cancelled(world: World) -> list[UUID]:
    connection = await world.releaser()
    return await closing.find_cancelled(connection, await closing.list_by_status(connection, CampaignStatus.CANCELLED))


async def complete(world: World, unknown_s: float) -> list[UUID]:
    connection = await world.releaser()
    active = await closing.list_by_status(connection, CampaignStatus.ACTIVE)
    return await closing.complete(connection, active, unknown_s)


async def reopen(world: World) -> list[UUID]:
    connection = await world.releaser()
    return await closing.reopen(connection, await closing.list_by_status(connection, CampaignStatus.COMPLETED))


async def test_skips_and_last_failures_of_a_release_are_published(world: World) -> None:
    campaign = await world.start_campaign(3)
    out, last, plain = await recipients_of(world, campaign)
    await world.run(
        "INSERT INTO subscriptions (person, source, subscribed, occurred_at)"
        " SELECT phone_number, 'operator', false, now() FROM campaign_recipients WHERE id = %s", out,
    )  # fmt: skip
    await world.run(LAST_WAITS, last)
    # Its expiry was published and applied, otherwise it would not be due.
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
        " outcome, outcome_at, event, published_at)"
        " VALUES (%s, 62, %s, now(), now(), gen_random_uuid(), now(), 'expired', now(), '{}', now())", last, campaign,
    )  # fmt: skip
    before = await read_facts(world.connection, [out, last, plain])
    step = await world.release()
    assert (len(step.jobs), step.skipped, step.exhausted) == (1, 1, 1)
    before[plain] = replace(before[plain], attempt=1)  # a release alone is no event
    assert await unpublished_facts(world, before) == {}
    assert await world.run("SELECT outcome, published_at FROM send_ledger WHERE recipient_id = %s", last) == [
        ("rejected", None)
    ]


async def test_skips_and_last_failures_of_a_cancellation_are_published(world: World) -> None:
    campaign = await world.start_campaign(3)
    everyone = await recipients_of(world, campaign)
    await world.run(LAST_WAITS, everyone[1])
    before = await read_facts(world.connection, everyone)
    await world.act(campaign, Action.CANCEL)
    [cancelled] = await find_cancelled(world)
    assert (await closing.skip_chunk(world.connection, cancelled, 100)).skipped == 3
    assert await world.statuses(campaign) == {"skipped": 2, "failed": 1}
    assert await unpublished_facts(world, before) == {}


async def skip_all(world: World) -> int:
    skipped = 0
    for _ in range(100):
        found = await find_cancelled(world)
        if not found:
            return skipped
        for each in found:
            skipped += (await closing.skip_chunk(await world.releaser(), each, 7)).skipped
    raise AssertionError("a cancelled campaign has no end")


async def test_cancelling_skips_waiting_recipients_and_returns_the_budget(world: World) -> None:
    campaign = await world.start_campaign(40, limit=30)
    jobs = (await world.release(Rates(mps=20, cap_s=10))).jobs
    await ledger.claim(world.connection, uuid4(), jobs[:5], 45)
    await world.run(
        "UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 1,"
        " failure_text = 'x', failure_class = 'backoff', failure_backoff_s = 600 WHERE id = %s",
        jobs[0].recipient_id,
    )
    await world.act(campaign, Action.CANCEL)
    assert await skip_all(world) == 36, "all but four that are claimed; a retry that waits is skipped too"
    assert await world.statuses(campaign) == {"skipped": 36, "queued": 4}
    assert await world.budget_used(campaign) == 5
    assert await world.run("SELECT count(*) FROM releases") == [(0,)]
    assert await world.run("SELECT DISTINCT failure_reason FROM campaign_recipients WHERE status = 'skipped'") == [
        ("campaign_cancelled",)
    ]
    assert await stats.recount(world.connection, campaign) == []
    assert len(await ledger.unpublished(world.connection, 100, 0)) == 36


async def test_a_cancelled_draft_ends_too(world: World) -> None:
    campaign = await world.create_campaign(20)
    await world.act(campaign, Action.CANCEL)
    assert await skip_all(world) == 20
    assert await world.statuses(campaign) == {"skipped": 20}


async def test_a_job_of_a_cancelled_campaign_cannot_be_claimed(world: World) -> None:
    campaign = await world.start_campaign(1)
    jobs = (await world.release()).jobs
    await world.act(campaign, Action.CANCEL)
    await closing.skip_chunk(await world.releaser(), campaign, 10)
    answers = await ledger.claim(world.connection, uuid4(), jobs, 45)
    assert [each.verdict for each in answers.values()] == [ledger.ClaimResult.STALE]


async def test_a_campaign_completes_when_no_recipient_waits_and_reopens(world: World) -> None:
    campaign = await world.start_campaign(2)
    assert await complete(world, 0) == []
    await world.release()
    assert await complete(world, 0) == []
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    await world.run("DELETE FROM releases")
    assert await complete(world, 0) == [campaign]
    assert await reopen(world) == []
    await world.run(
        "UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failed_at = now(), failure_code = 1,"
        " failure_text = 'x', failure_class = 'backoff', failure_backoff_s = 600 WHERE phone_number = '15550000000'"
    )
    assert await reopen(world) == [campaign]
    assert await complete(world, 0) == []


async def test_an_unknown_is_waited_for_before_completing(world: World) -> None:
    campaign = await world.start_campaign(1)
    (job,) = (await world.release()).jobs
    await ledger.claim(world.connection, uuid4(), [job], 0)
    await ledger.declare_unknown(world.connection, 10)
    await world.run("UPDATE campaign_recipients SET unknown_attempt = 1")
    assert await complete(world, 86_400) == []
    await world.run("UPDATE send_ledger SET outcome_at = outcome_at - interval '2 days'")
    assert await complete(world, 86_400) == [campaign]


async def test_a_resolved_unknown_is_not_waited_for(world: World) -> None:
    campaign = await world.start_campaign(2)
    jobs = (await world.release()).jobs
    await ledger.claim(world.connection, uuid4(), jobs, 0)
    await ledger.declare_unknown(world.connection, 10)
    await world.run("UPDATE campaign_recipients SET unknown_attempt = 1")
    await world.run(
        "UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now() WHERE id = %s", jobs[0].recipient_id
    )
    assert await complete(world, 86_400) == []
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    assert await complete(world, 86_400) == [campaign]


async def test_a_campaign_with_very_many_deltas_is_judged_when_they_are_folded(world: World) -> None:
    campaign = await world.start_campaign(1)
    await world.run("UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now()")
    await world.run(
        "INSERT INTO campaign_counter_deltas SELECT %s, 'funnel', 'sent', 0 FROM generate_series(1, %s)",
        campaign, closing.DELTAS_MAX,
    )  # fmt: skip
    assert await complete(world, 0) == []
    await stats.fold(world.connection)
    assert await complete(world, 0) == [campaign]


async def test_a_campaign_without_anybody_stays_active(world: World) -> None:
    assert await closing.list_by_status(world.connection, CampaignStatus.ACTIVE) == [world.campaign]
    assert await complete(world, 0) == []


async def test_people_added_to_a_completed_campaign_open_it(world: World) -> None:
    campaign = await world.start_campaign(1)
    await world.run("UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now()")
    assert await complete(world, 0) == [campaign]
    await world.import_recipients(campaign, 1)
    assert len((await world.release()).jobs) == 1


async def test_a_locked_recipient_holds_up_no_other_in_a_cancelled_campaign(world: World) -> None:
    campaign = await world.start_campaign(10)
    await world.act(campaign, Action.CANCEL)
    async with world.another("operator") as operator, operator.transaction():
        await operator.execute("SELECT FROM campaign_recipients ORDER BY id LIMIT 1 FOR UPDATE")
        [cancelled] = await find_cancelled(world)
        assert (await closing.skip_chunk(await world.releaser(), cancelled, 100)).skipped == 9
    assert await skip_all(world) == 1


async def test_a_locked_campaign_keeps_no_other_from_completing(world: World) -> None:
    locked, other = await world.start_campaign(1), await world.start_campaign(1)
    await world.run("UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now()")
    async with world.another("operator") as operator, operator.transaction():
        await operator.execute("SELECT FROM marketing_campaigns WHERE id = %s FOR UPDATE", [locked])
        assert await complete(world, 0) == [other]
    assert await complete(world, 0) == [locked]
