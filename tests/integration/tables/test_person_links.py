"""Links between two keys of one human: an opt-out under one of them holds for the others."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID, uuid4

import pytest

from domain.people import PersonKey
from domain.repeats import OtherAttempt, twin_refusal
from domain.subscriptions import LINKS_FOLLOWED_MAX
from schemas.jobs import SendJob
from schemas.model import RecipientId
from schemas.sources import Source
from tables import campaigns, ledger
from tables.database import Connection
from tables.ledger import Claim, ClaimResult, Settlement
from tables.new_recipients import NewRecipient
from tables.person_links import link_keys, link_people
from tables.subscriptions import Subscription, read, state_by_operator
from tests.support.world import World

WA_ID = "15559990001"
USER = "user:US.13491208655302741918"


def key_of(job: SendJob) -> tuple[RecipientId, int]:
    return job.recipient_id, job.attempt


@contextlib.asynccontextmanager
async def open_rows(connection: Connection) -> AsyncIterator[tuple[UUID, UUID]]:
    """Two linked rows of a campaign, in the order of their ids. They are rolled back."""
    async with connection.transaction(force_rollback=True):
        cursor = await connection.execute(
            "WITH c AS (INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id, status)"
            " VALUES ('c', 't', 'en', '1', 'active') RETURNING id)"
            " INSERT INTO campaign_recipients (campaign_id, phone_number, attempt)"
            " SELECT c.id, p, 1 FROM c, unnest(ARRAY['15550000001', '15550000002']) AS p RETURNING id"
        )
        first, second = sorted(row[0] for row in await cursor.fetchall())
        await link_keys(connection, {(PersonKey("15550000001"), PersonKey("15550000002")): False})
        yield first, second


async def dialled(world: World) -> str:
    """The key of the only recipient."""
    key: str = await world.value("SELECT person FROM campaign_recipients")
    return key


@pytest.mark.parametrize("name", [WA_ID, USER])
async def test_an_opt_out_under_another_key_of_the_person_skips_a_released_job(world: World, name: str) -> None:
    [job] = await world.release_jobs(1)
    await state_by_operator(world.connection, name, subscribed=False)
    await link_people(world.connection, [(job.recipient_id, name)])
    assert await world.claim([job]) == [ClaimResult.SKIPPED]
    assert await read(world.connection, await dialled(world)) == Subscription((Source.OPERATOR,))


async def test_an_opt_out_under_the_number_dialled_holds_for_a_row_of_the_other_key(world: World) -> None:
    [job] = await world.release_jobs(1)
    await link_people(world.connection, [(job.recipient_id, WA_ID)])
    await state_by_operator(world.connection, await dialled(world), subscribed=False)
    assert await world.value("SELECT is_unsubscribed(%s)", WA_ID)
    assert not await world.value("SELECT is_unsubscribed(%s)", "15559990002")


async def test_an_opt_in_by_an_operator_holds_under_each_key(world: World) -> None:
    """It would otherwise be answered as done, and the opt-out under the other key would remain."""
    [job] = await world.release_jobs(1)
    await link_people(world.connection, [(job.recipient_id, WA_ID), (job.recipient_id, USER)])
    await state_by_operator(world.connection, WA_ID, subscribed=False)
    await state_by_operator(world.connection, await dialled(world), subscribed=True)
    assert (await read(world.connection, WA_ID)).subscribed
    assert await world.claim([job]) == [ClaimResult.CLAIMED]
    assert await world.run("SELECT person FROM subscriptions WHERE person = %s", USER) == [], "it was never out"


async def test_an_opt_out_holds_over_a_link_of_a_link(world: World) -> None:
    [job] = await world.release_jobs(1)
    await link_people(world.connection, [(job.recipient_id, USER)])
    await link_keys(world.connection, {(PersonKey(WA_ID), PersonKey(USER)): True})
    await state_by_operator(world.connection, WA_ID, subscribed=False)
    assert await world.claim([job]) == [ClaimResult.SKIPPED]


async def test_one_key_for_everybody_joins_nobody(world: World) -> None:
    """An answer with one `wa_id` for everybody must not let one opt-out stop them all."""
    jobs = await world.release_jobs(LINKS_FOLLOWED_MAX + 1)
    await link_people(world.connection, [(job.recipient_id, WA_ID) for job in jobs])
    await state_by_operator(world.connection, jobs[0].recipient_name, subscribed=False)
    assert await world.claim(jobs) == [ClaimResult.SKIPPED, *[ClaimResult.CLAIMED] * LINKS_FOLLOWED_MAX]


async def test_a_link_of_one_account_stays_one(world: World) -> None:
    pair = (PersonKey(WA_ID), PersonKey(USER))
    for same_account in (False, True, False):
        await link_keys(world.connection, {pair: same_account})
    assert await world.run("SELECT DISTINCT same_account FROM person_links") == [(True,)]


async def test_a_known_link_the_own_key_and_a_row_that_is_gone_change_nothing(world: World) -> None:
    [job] = await world.release_jobs(1)
    for _ in range(2):
        await link_people(
            world.connection,
            [(job.recipient_id, WA_ID), (job.recipient_id, job.recipient_name), (RecipientId(uuid4()), WA_ID)],
        )
    key = await dialled(world)
    assert sorted(await world.run("SELECT person, linked_to FROM person_links")) == sorted([(key, WA_ID), (WA_ID, key)])


async def test_a_known_link_refuses_a_second_row_of_the_human(world: World) -> None:
    """In the campaign, in the same request, and for a recipient with two names. Others are added."""
    campaign = await world.create_campaign(0)
    number, bare = "15550000001", USER.removeprefix("user:")
    pairs = ((number, USER), (USER, WA_ID), ("15550000005", "15550000006"), ("15550000007", "user:US.7"))
    await link_keys(world.connection, {(PersonKey(min(pair)), PersonKey(max(pair))): True for pair in pairs})
    add = partial(campaigns.add_recipients, world.connection, campaign)
    assert (await add([NewRecipient(number)])).present == frozenset()
    refused = await add([NewRecipient(WA_ID), NewRecipient(None, user_id=bare), NewRecipient("15550000003")])
    assert not refused.present
    assert refused.other_spellings == {WA_ID, USER}
    twins = await add([NewRecipient("15550000006"), NewRecipient("15550000005"), NewRecipient(number)])
    assert twins.present == {number}
    assert twins.other_spellings == {"15550000006"}, "the first in the order of people stays"
    both = await add([NewRecipient("15550000008", user_id="US.7"), NewRecipient("15550000007")])
    assert both.other_spellings == {"15550000008"}
    assert await world.count("campaign_recipients") == 4
    other = await world.create_campaign(0)
    assert not (await campaigns.add_recipients(world.connection, other, [NewRecipient(WA_ID)])).other_spellings


async def two_rows_of_one_human(world: World) -> list[SendJob]:
    """Two released recipients whose link is not stored yet, in the order of their ids."""
    return await world.release_jobs(2)


async def link(world: World, jobs: list[SendJob]) -> None:
    """A webhook names both numbers as one account's."""
    await link_people(world.connection, [(jobs[0].recipient_id, jobs[1].recipient_name)])


async def skip_reasons(world: World) -> list[str]:
    rows = await world.run("SELECT event::json ->> 'skip_reason' FROM send_ledger WHERE outcome = 'skipped'")
    return [row[0] for row in rows]


async def test_of_two_rows_that_are_one_human_the_second_is_skipped_before_its_post(world: World) -> None:
    jobs = await two_rows_of_one_human(world)
    await link(world, jobs)
    token = uuid4()
    assert await world.claim(jobs, token=token) == [ClaimResult.CLAIMED, ClaimResult.BUSY], "both are in one call"
    assert await world.claim(jobs[1:]) == [ClaimResult.BUSY], "the outcome of the first is awaited"
    await ledger.settle(world.connection, [Settlement(Claim(*key_of(jobs[0]), token), "accepted", "{}")])
    assert await world.claim(jobs[1:]) == [ClaimResult.SKIPPED]
    assert await skip_reasons(world) == ["same_person"]
    assert await world.count("releases") == 0


async def test_rows_that_are_linked_after_both_claims_are_sent_once(world: World) -> None:
    jobs = await two_rows_of_one_human(world)
    token = uuid4()
    assert await world.claim(jobs, token=token) == [ClaimResult.CLAIMED] * 2
    await link(world, jobs)
    verdicts = []
    for job in jobs:
        answers = await ledger.renew(world.connection, [Claim(*key_of(job), token)], 45)
        verdicts.append(answers[key_of(job)].verdict)
    assert verdicts == [ClaimResult.DEFERRED, ClaimResult.RENEWED], "nobody knows whether the other one was posted"


async def test_a_row_whose_twin_is_claimed_at_this_moment_comes_again(world: World) -> None:
    jobs = await two_rows_of_one_human(world)
    await link(world, jobs)
    async with world.another() as other, other.transaction():
        assert (await ledger.claim(other, uuid4(), jobs[:1], 45))[key_of(jobs[0])].verdict is ClaimResult.CLAIMED
        assert await world.claim(jobs[1:]) == [ClaimResult.BUSY]


async def test_the_sql_follows_the_table_of_repeats(connection: Connection) -> None:
    outcomes = ("accepted", "unknown", "rejected", "deferred", "expired", "skipped", None)
    insert = """
        INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,
                                 outcome, outcome_at, event)
        SELECT id, 1, campaign_id, '2026-05-05', 'infinity', gen_random_uuid(), 'infinity', %(ended)s::text,
               CASE WHEN %(ended)s::text IS NOT NULL THEN now() END,
               CASE WHEN %(ended)s::text IS NOT NULL THEN '{}' END
        FROM campaign_recipients WHERE id = %(id)s"""
    for outcome, has_failed in itertools.product(outcomes, (False, True)):
        async with open_rows(connection) as (row, twin):
            await connection.execute(insert, {"id": twin, "ended": outcome})
            if has_failed:
                await connection.execute("UPDATE campaign_recipients SET failed_attempts = 2 WHERE id = %s", [twin])
            cursor = await connection.execute(
                "SELECT twin_refusal(campaign_id, id, person) FROM campaign_recipients WHERE id = %s", [row]
            )
            expected = twin_refusal([OtherAttempt(outcome, has_failed)])
            assert await cursor.fetchone() == (expected,), (outcome, has_failed)


async def test_a_row_whose_twin_was_sent_is_skipped_at_its_release(world: World) -> None:
    campaign = await world.start_campaign(2)
    jobs = sorted((await world.release()).jobs, key=lambda job: job.recipient_id)
    token = uuid4()
    assert await world.claim(jobs[:1], token=token) == [ClaimResult.CLAIMED]
    await ledger.settle(world.connection, [Settlement(Claim(*key_of(jobs[0]), token), "accepted", "{}")])
    await link(world, jobs)
    await world.run("DELETE FROM releases WHERE recipient_id = %s", jobs[1].recipient_id)
    deferred = "UPDATE campaign_recipients SET deferred_attempt = 1, deferred_until = now() WHERE id = %s"
    await world.run(deferred, jobs[1].recipient_id)
    assert (await world.release()).skipped == 1
    assert await world.statuses(campaign) == {"queued": 1, "skipped": 1}
    assert await skip_reasons(world) == ["same_person"]
