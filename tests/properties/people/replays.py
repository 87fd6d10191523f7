"""Takes a walk, and applies its events again from zero, in other orders, with duplicates and in other batches."""

from __future__ import annotations

from collections import Counter
from typing import Any

from operations.audit import audit
from tables import stats
from tables.recipients import read_facts
from tests.properties.people.walk import Walk
from tests.support.world import World

ORDERS = 3
EMPTY = (
    "DELETE FROM campaign_recipients", "DELETE FROM messages", "DELETE FROM subscriptions",
    "DELETE FROM person_links", "DELETE FROM campaign_opt_outs", "DELETE FROM opt_outs",
)  # fmt: skip
ROWS = """
    SELECT id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at,
           window_country
    FROM campaign_recipients
"""
ADD_ROW = """
    INSERT INTO campaign_recipients
        (id, campaign_id, phone_number, user_id, scheduled_send_date, max_retries, created_at, window_country)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
CONTENT = {
    "rows": "SELECT id, status, next_attempt_at, failure_reason, retry_count FROM campaign_recipients",
    "subscriptions": "SELECT person, source, subscribed, occurred_at, opted_out_at FROM subscriptions",
    "links": "SELECT person, linked_to, same_account FROM person_links",
    "messages": "SELECT wamid, recipient_id, attempt, sent_at, delivered_at, read_at, replied_at, failed_at"
    " FROM messages",
}


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


async def check_walk(walk: Walk, steps: int) -> None:
    """Walk, compare counters and rows, and apply the same events from zero in other orders."""
    world = walk.world
    await walk.begin()
    for _ in range(steps):
        await walk.step()
    await walk.finish()
    for campaign in {each.campaign for each in walk.sent}:
        assert await stats.recount(world.connection, campaign) == []
    checked = await audit(world.connection, None, None)
    findings = [(check.check, check.findings) for check in checked.checks if check.count]
    assert not findings, findings
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
        found = await content(walk)
        different = [(name, found[name], expected[name]) for name in found if found[name] != expected[name]]
        assert not different, different
