"""Links between two keys of one human: an opt-out under one of them holds for the others."""

from __future__ import annotations

from uuid import uuid4

import pytest

from domain.people import PersonKey
from domain.subscriptions import LINKS_FOLLOWED_MAX
from schemas.model import RecipientId
from schemas.sources import Source
from tables.ledger import ClaimResult
from tables.person_links import link_keys, link_people
from tables.subscriptions import Subscription, read, state_by_operator
from tests.support.world import World

WA_ID = "15559990001"
USER = "user:US.13491208655302741918"


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
    await state_by_operator(world.connection, jobs[0].phone_number, subscribed=False)
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
            [(job.recipient_id, WA_ID), (job.recipient_id, job.phone_number), (RecipientId(uuid4()), WA_ID)],
        )
    key = await dialled(world)
    assert sorted(await world.run("SELECT person, linked_to FROM person_links")) == sorted([(key, WA_ID), (WA_ID, key)])
