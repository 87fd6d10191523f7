"""Old rows are deleted, and every fact, counter, check and late status stays exact without them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from operations.audit import audit
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from sinks.apply import Applied, KnownPhoneNumbers, apply_events
from tables import stats, trace
from tables.database import Connection
from tables.retention import START, ChunkPlace, Prunable, prune
from tests.support.world import World

DAYS = 2


async def pruned(
    connection: Connection, table: Prunable, *, days: int = DAYS, limit: int = 2000, unlimited: tuple[str, ...] = ()
) -> int:
    """The rows deleted in one pass over a table, chunk by chunk."""
    total, place = 0, START[table]
    while True:
        chunk = await prune(connection, table, days, place, limit, unlimited)
        total += chunk.deleted
        if chunk.next is None:
            return total
        place = chunk.next


async def apply(connection: Connection, *events: RecipientEvent) -> Applied:
    async with connection.transaction():
        return await apply_events(connection, events, KnownPhoneNumbers())


def anonymous(world: World, person: RecipientId, kind: EventKind, minutes: float = 0, **fields: Any) -> RecipientEvent:
    """A status without our callback data."""
    unknown: dict[str, Any] = {"recipient_id": None, "campaign_id": None, "attempt": None}
    return world.event(person, kind, minutes, **({"wamid": f"wamid.{person}"} | unknown | fields))


async def add_attempt(world: World, person: RecipientId, attempt: int = 1, **fields: object) -> None:
    """A ledger row that was published three days ago."""
    known = {"outcome": "accepted", "age": "3 days", "published": True} | fields
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, claimed_at,"
        " lease_until, outcome, outcome_at, event, published_at) VALUES (%s, %s, %s, now(), now(), gen_random_uuid(),"
        " now() - %s::interval, now(), %s, now() - interval '3 days', '{}',"
        " CASE WHEN %s THEN now() - %s::interval END)",
        person, attempt, world.campaign, known["age"], known["outcome"], known["published"], known["age"],
    )  # fmt: skip


async def ledger_of(world: World) -> set[RecipientId]:
    return {row[0] for row in await world.run("SELECT recipient_id FROM send_ledger")}


async def grow_old(world: World) -> None:
    await world.run("UPDATE messages SET first_seen_at = first_seen_at - interval '3 days'")


async def counters(world: World) -> Any:
    found = await stats.read(world.connection, [world.campaign])
    return found[world.campaign].model_dump(exclude={"version", "as_of"})


async def findings(world: World) -> dict[str, int]:
    result = await audit(world.connection, None, None)
    assert not result.counters
    return {check.check: check.count for check in result.checks if check.count}


async def test_attempts_that_nothing_needs_are_deleted_from_the_ledger(world: World) -> None:
    people = await world.add_recipients(9)
    sent, failed, skipped, young, unknown, queued, missing, unpublished, waiting = people
    outcomes = dict(zip(people, ("accepted", "rejected", "skipped"), strict=False)) | {unknown: "unknown"}
    for person in people:
        await add_attempt(
            world, person, outcome=outcomes.get(person, "accepted"),
            age="1 day" if person == young else "3 days", published=person != unpublished,
        )  # fmt: skip
    accepted = "UPDATE campaign_recipients SET attempt = 1, accepted_attempts = 2, sent_at = now() WHERE id = ANY (%s)"
    await world.run(accepted, [sent, young, unpublished, waiting])
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failed_at = now(),"
        " failure_text = 'x', failure_class = 'never', failure_backoff_s = 0 WHERE id = ANY (%s)", [failed, missing],
    )  # fmt: skip
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out' WHERE id = %s",
        skipped,
    )
    await world.run("UPDATE campaign_recipients SET attempt = 1, unknown_attempt = 1 WHERE id = %s", unknown)
    await world.run("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", queued)
    await world.run(
        "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)"
        " VALUES (%s, 2, %s, '1', now(), now())", waiting, world.campaign,
    )  # fmt: skip
    assert await pruned(world.connection, Prunable.LEDGER, limit=2) == 3
    assert await ledger_of(world) == {young, unknown, queued, missing, unpublished, waiting}
    assert await world.run("SELECT table_name, n FROM pruned_rows") == [("send_ledger", 3)]
    assert await pruned(world.connection, Prunable.LEDGER) == 0


async def test_of_the_attempts_of_a_recipient_all_are_deleted_or_none(world: World) -> None:
    old, tried = await world.add_recipients(2)
    for person, age in ((old, "3 days"), (tried, "1 hour")):
        await add_attempt(world, person, outcome="rejected")
        await add_attempt(world, person, 2, age=age)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 2, accepted_attempts = 4, failed_attempts = 2, sent_at = now()"
    )
    assert await pruned(world.connection, Prunable.LEDGER, limit=1) == 2
    assert await ledger_of(world) == {tried}


async def test_an_attempt_without_a_ledger_row_is_not_claimed_again(world: World) -> None:
    (job,) = await world.release_jobs(1)
    assert await world.claim([job]) == ["claimed"]
    await world.run(
        "UPDATE send_ledger SET outcome = 'accepted', outcome_at = now(), event = '{}', published_at = now()"
        " - interval '3 days'"
    )
    await apply(world.connection, world.event(job.recipient_id, EventKind.ACCEPTED))
    assert await pruned(world.connection, Prunable.LEDGER) == 1
    assert await world.claim([job]) == ["stale"]
    assert await world.count("send_ledger") == 0
    assert await findings(world) == {}


async def test_a_locked_row_is_left_to_the_next_pass(world: World) -> None:
    people = await world.add_recipients(2)
    for person in people:
        await add_attempt(world, person)
        await apply(world.connection, world.event(person, EventKind.ACCEPTED))
    await grow_old(world)
    async with world.another() as other, other.transaction():
        await other.execute("SELECT FROM send_ledger WHERE recipient_id = %s FOR UPDATE", [people[0]])
        await other.execute("SELECT FROM messages WHERE recipient_id = %s FOR UPDATE", [people[0]])
        assert await pruned(world.connection, Prunable.LEDGER) == 1
        assert await pruned(world.connection, Prunable.MESSAGES) == 1
    assert await ledger_of(world) == {people[0]}
    assert await pruned(world.connection, Prunable.LEDGER) == 1


async def test_a_late_status_finds_its_row_after_its_message_was_deleted(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await apply(world.connection, world.event(person, EventKind.ACCEPTED))
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES) == 1
    assert await world.count("messages") == 0
    assert await trace.find_by_wamid(world.connection, f"wamid.{person}") == [person]
    applied = await apply(world.connection, anonymous(world, person, EventKind.READ, 5))
    assert (applied.foreign, applied.refused, applied.parked_lost) == (0, {}, 0)
    assert await world.value("SELECT status FROM campaign_recipients") == "read"
    assert await world.run("SELECT recipient_id, attempt FROM messages") == [(person, 1)]
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES) == 1
    assert await world.run("SELECT n FROM pruned_rows") == [(1,)]
    assert await findings(world) == {}


async def test_a_replay_from_zero_after_retention_changes_no_row_and_no_counter(world: World) -> None:
    people = await world.add_recipients(3)
    events = [
        event
        for person in people
        for event in (
            world.event(person, EventKind.ACCEPTED),
            anonymous(world, person, EventKind.DELIVERED, 1),
            anonymous(world, person, EventKind.REPLIED, 3),
            world.event(person, EventKind.READ, 2),
        )
    ]
    await apply(world.connection, *events)
    before = (
        await counters(world),
        await world.run("SELECT id, status, sent_at, read_at, replied_at FROM campaign_recipients"),
    )
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES, limit=2) == 3
    for event in reversed(events):
        applied = await apply(world.connection, event)
        assert (applied.rows_changed, applied.double_sends, applied.foreign, applied.refused) == (0, 0, 0, {})
    after = await world.run("SELECT id, status, sent_at, read_at, replied_at FROM campaign_recipients")
    assert (await counters(world), after) == before
    assert await world.value("SELECT count(*) FROM messages WHERE recipient_id IS NULL") == 0
    assert await findings(world) == {}


async def test_a_status_that_meets_the_deletion_of_its_message_is_not_parked(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await apply(world.connection, world.event(person, EventKind.ACCEPTED))
    await grow_old(world)
    async with world.another("sink") as sink, world.another() as leader:
        async with leader.transaction():
            assert (await prune(leader, Prunable.MESSAGES, DAYS, START[Prunable.MESSAGES], 10)).deleted == 1
            waiting = asyncio.create_task(apply(sink, anonymous(world, person, EventKind.DELIVERED, 1)))
            await world.wait_for_blocked("sink")
        await waiting
    assert await world.value("SELECT status FROM campaign_recipients") == "delivered"


async def test_a_second_message_of_an_attempt_is_a_double_send_after_the_first_was_deleted(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await apply(world.connection, world.event(person, EventKind.ACCEPTED))
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES) == 1
    second = await apply(world.connection, world.event(person, EventKind.ACCEPTED, wamid=Wamid("wamid.second")))
    assert second.double_sends == 1
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES) == 0, "the messages of a double send are evidence"
    assert await findings(world) == {"double_send": 1}


async def test_messages_whose_facts_are_not_in_the_row_stay(world: World) -> None:
    lacking, erased = await world.add_recipients(2)
    for person in (lacking, erased):
        await apply(world.connection, world.event(person, EventKind.ACCEPTED))
        await apply(world.connection, anonymous(world, person, EventKind.READ, 1))
    await world.run("UPDATE campaign_recipients SET read_at = NULL WHERE id = %s", lacking)
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", erased)
    await grow_old(world)
    assert await pruned(world.connection, Prunable.MESSAGES) == 0
    assert await findings(world) == {"parked_not_told": 1}


async def test_verify_finds_a_key_that_was_lost(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await apply(world.connection, world.event(person, EventKind.ACCEPTED))
    await grow_old(world)
    await pruned(world.connection, Prunable.MESSAGES)
    result = await audit(world.connection, None, None)
    assert [(each.table, each.n) for each in result.pruned] == [("messages", 1)]
    await world.run("DELETE FROM old_messages")
    assert await findings(world) == {"message_missing": 1, "pruned_not_recorded": 1}


CHUNKS: list[tuple[Prunable, str, tuple[str, ...], list[str]]] = [
    (
        Prunable.SUBSCRIPTION_OUTBOX,
        (
            "INSERT INTO subscription_outbox (person, source, subscribed, occurred_at, published_at)"
            " SELECT person, 'operator', false, now(), at FROM (VALUES ('old', now() - interval '40 days'),"
            " ('young', now()), ('unpublished', NULL), ('older', now() - interval '50 days')) AS v (person, at)"
        ),
        (),
        ["unpublished", "young"],
    ),
    (
        Prunable.BUDGETS,
        (
            "INSERT INTO campaign_days (campaign_id, day, used) SELECT id, current_date - n, n"
            " FROM marketing_campaigns, unnest(ARRAY[0, 1, 30, 33, 40]) AS n"
        ),
        (),
        ["0", "1", "30"],
    ),
    (
        Prunable.TIMELINE,
        (
            "INSERT INTO campaign_timeline (campaign_id, minute, sent, delivered, read, failed, published_version)"
            " SELECT id, now() - n * interval '1 day', n, 0, 0, 0, published"
            " FROM marketing_campaigns, (VALUES (1, 1), (30, 1), (32, 1), (33, 0), (40, 1)) AS v (n, published)"
        ),
        (),
        ["1", "30", "33"],
    ),
    (
        Prunable.DEAD_LETTER_ACTS,
        (
            "INSERT INTO dead_letter_acts (topic_id, topic_partition, topic_offset, topic, act, acted_at)"
            " SELECT 'id', 0, n, topic, 'dropped', now() - n * interval '1 day'"
            " FROM (VALUES (1, 'events.dead'), (40, 'events.dead'), (41, 'subscriptions.dead')) AS v (n, topic)"
        ),
        ("subscriptions.dead",),
        ["1", "41"],
    ),
    (
        Prunable.IDEMPOTENCY_KEYS,
        (
            "INSERT INTO idempotency_keys (key, request_hash, created_at) VALUES ('young', '', now()),"
            " ('old', '', now() - interval '40 days'), ('older', '', now() - interval '50 days')"
        ),
        (),
        ["young"],
    ),
    (
        Prunable.PERSON_ATTEMPTS,
        (
            "INSERT INTO person_attempts SELECT '1555', now() - n * interval '1 day', gen_random_uuid(), n"
            " FROM unnest(ARRAY[1, 30, 32, 40]) AS n"
        ),
        (),
        ["1", "30"],
    ),
]
KEYS = {
    Prunable.SUBSCRIPTION_OUTBOX: "SELECT person FROM subscription_outbox",
    Prunable.BUDGETS: "SELECT used::text FROM campaign_days",
    Prunable.TIMELINE: "SELECT sent::text FROM campaign_timeline",
    Prunable.DEAD_LETTER_ACTS: "SELECT topic_offset::text FROM dead_letter_acts",
    Prunable.IDEMPOTENCY_KEYS: "SELECT key FROM idempotency_keys",
    Prunable.PERSON_ATTEMPTS: "SELECT attempt::text FROM person_attempts",
}


@pytest.mark.parametrize("limit", [1, 2000])
@pytest.mark.parametrize(("table", "rows", "unlimited", "kept"), CHUNKS, ids=[case[0].value for case in CHUNKS])
async def test_small_tables_keep_what_is_young_or_needed(
    world: World, table: Prunable, rows: str, unlimited: tuple[str, ...], kept: list[str], limit: int
) -> None:
    await world.run(rows)
    before = len(await world.run(KEYS[table]))
    deleted = await pruned(world.connection, table, days=31, limit=limit, unlimited=unlimited)
    assert sorted(row[0] for row in await world.run(KEYS[table])) == kept
    assert deleted == before - len(kept)


async def test_a_pass_reads_each_row_once(world: World) -> None:
    """Also those that stay, so that dead entries of the index are read once in a pass."""
    for person in await world.add_recipients(5):
        await add_attempt(world, person, age="1 hour")
    places: list[ChunkPlace] = [START[Prunable.LEDGER]]
    while (chunk := await prune(world.connection, Prunable.LEDGER, DAYS, places[-1], 2)).next is not None:
        places.append(chunk.next)
    assert len(places) == 3
    assert len({place["after_recipient"] for place in places}) == 3
