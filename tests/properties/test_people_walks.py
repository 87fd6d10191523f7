"""Laws of identity on a real Postgres, by seeded walks of people with several names.

During a walk: no post to a human who has opted out a minute ago, no second message of a campaign to a human, none above
the frequency cap. After it: counters equal the rows, and the same events from zero, in any order, in any batches and
with duplicates, give the same people, rows, messages and counters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from operations.audit import audit
from tables import stats
from tables.recipients import read_facts
from tests.properties.people.walk import Walk
from tests.support.world import World, open_world

STEPS = 70
QUICK, MORE = range(3), range(3, 60)
ORDERS = 3
EMPTY = (
    "DELETE FROM campaign_recipients", "DELETE FROM messages", "DELETE FROM subscriptions",
    "DELETE FROM person_links", "DELETE FROM campaign_opt_outs", "DELETE FROM opt_outs",
)  # fmt: skip
ROWS = """
    SELECT id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at FROM campaign_recipients
"""
ADD_ROW = """
    INSERT INTO campaign_recipients
        (id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
CONTENT = {
    "rows": "SELECT id, status, next_attempt_at, failure_reason, retry_count FROM campaign_recipients",
    "subscriptions": "SELECT person, source, subscribed, occurred_at, opted_out_at FROM subscriptions",
    "links": "SELECT person, linked_to, same_account FROM person_links",
    "messages": "SELECT wamid, recipient_id, attempt, sent_at, delivered_at, read_at, replied_at, failed_at"
    " FROM messages",
}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_world(database_url) as opened:
        yield opened


async def content(walk: Walk) -> dict[str, Any]:
    """What the events state together. The time to which the cap deferred is a note of the release, and no fact."""
    world = walk.world
    await world.attribute_opt_outs()
    counters: Counter[str] = Counter()
    for dimension, key, n in await world.run("SELECT dimension, key, n::int FROM report_counters"):
        counters[f"{dimension}/{key}".replace("frequency_cap", "deferred") if dimension == "wait" else key] += n
    found: dict[str, Any] = {name: sorted(await world.run(sql), key=str) for name, sql in CONTENT.items()}
    return {**found, "facts": await read_facts(world.connection, walk.persons), "counters": +counters}


async def begin_again(world: World) -> None:
    """Empty the tables, and add the recipients as they were added first."""
    rows = await world.run(ROWS)
    for statement in EMPTY:
        await world.run(statement)
    for row in rows:
        await world.run(ADD_ROW, *row)


async def check_walk(world: World, seed: int) -> None:
    walk = Walk(world, Random(seed))
    await walk.begin()
    for _ in range(STEPS):
        await walk.step()
    await walk.finish()
    for campaign in {each.campaign for each in walk.sent}:
        assert await stats.recount(world.connection, campaign) == []
    checked = await audit(world.connection, None, None)
    assert {check.check: check.count for check in checked.checks if check.count} == {}
    expected = await content(walk)
    events = [each.event for each in walk.received]
    for _ in range(ORDERS):
        await begin_again(world)
        published = events + walk.random.sample(events, len(events) // 3)
        walk.random.shuffle(published)
        walk.unanswered = []
        while published:
            size = walk.random.randint(1, 6)
            await walk.apply(published[:size])
            published = published[size:]
        assert await content(walk) == expected


@pytest.mark.parametrize("seed", QUICK)
async def test_identities_hold_in_every_order(world: World, seed: int) -> None:
    await check_walk(world, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", MORE)
async def test_identities_hold_in_every_order_of_many_walks(world: World, seed: int) -> None:
    await check_walk(world, seed)
