"""The order in which a sink locks, applies and commits: beside another one, over a bug, without dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain import fold
from domain.facts import Facts, facts_of
from domain.parked import Learned
from schemas.codec import encode
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import RecipientId, Wamid
from schemas.places import Outgoing, TopicIdentity
from schemas.reasons import DeadLetterReason
from sinks.apply import KnownPhoneNumbers, apply_by_halves, apply_events
from tables.binary_arrays import uuids
from tables.database import Connection
from tables.fact_columns import merge_parameters
from tables.messages import merge_messages
from tables.offsets import accept_topic, advance_offsets, has_moved, read_offsets
from tables.recipients import merge_facts, read_facts
from tests.support.histories import START
from tests.support.waiting import eventually_async
from tests.support.world import NUMBER_ID, World
from topics.publisher import PUBLISH_TIMEOUT_S, AsyncPublisher, PublishFailed

WAMID = Wamid("wamid.one")


class Two:
    """The connections of two sinks."""

    def __init__(self, world: World, first: Connection, second: Connection) -> None:
        self.world, self.first, self.second = world, first, second

    async def second_waits(self) -> None:
        await self.world.wait_for_blocked("second")


@pytest.fixture
async def two(world: World) -> AsyncIterator[Two]:
    async with world.another("first") as first, world.another("second") as second:
        yield Two(world, first, second)


def event(person: RecipientId, kind: EventKind = EventKind.ACCEPTED, wamid: Wamid = WAMID) -> RecipientEvent:
    return RecipientEvent(
        kind=kind, recipient_id=person, attempt=1, wamid=wamid, phone_number_id=NUMBER_ID,
        occurred_at=START, received_at=START,
    )  # fmt: skip


async def test_what_another_sink_commits_while_we_wait_is_not_lost(two: Two) -> None:
    """The old facts are those of the locked row, not of the snapshot with which the statement began."""
    (person,) = await two.world.add_recipients(1)
    async with two.first.transaction():
        await merge_facts(two.first, {person: Facts(attempt=1, accepted_attempts=2, sent_at=START, unknown_attempt=1)})
        waiting = asyncio.create_task(merge_facts(two.second, {person: Facts(attempt=2, accepted_attempts=4)}))
        await two.second_waits()
    assert await waiting == 1
    found = (await read_facts(two.first, [person]))[person]
    assert (found.attempt, found.accepted_attempts, found.sent_at, found.unknown_attempt) == (2, 6, START, 1)


async def test_messages_are_locked_before_rows(two: Two) -> None:
    """A sink that has a row and waits for a message would wait in a circle with one that has the message."""
    (person,) = await two.world.add_recipients(1)

    async def apply() -> None:
        async with two.second.transaction():
            await apply_events(two.second, [event(person)], KnownPhoneNumbers())

    async with two.first.transaction():
        await merge_messages(two.first, {WAMID: Learned(person, 1)})
        waiting = asyncio.create_task(apply())
        await two.second_waits()
        await two.first.execute("SET LOCAL lock_timeout = '2s'")
        await two.first.execute("SELECT FROM campaign_recipients WHERE id = %s FOR UPDATE", [person])
    await waiting


async def test_messages_are_locked_in_the_order_of_their_wamids(two: Two) -> None:
    first, last = await two.world.add_recipients(2)
    async with two.first.transaction():
        await merge_messages(two.first, {"wamid.a": Learned(first, 1)})
        waiting = asyncio.create_task(merge_messages(two.second, {"wamid.b": Learned(last, 1), "wamid.a": Learned()}))
        await two.second_waits()
        await two.first.execute("SET LOCAL lock_timeout = '2s'")
        await merge_messages(two.first, {"wamid.b": Learned(last, 1)})  # the other one does not have it yet
    await waiting


def test_rows_are_given_in_the_order_of_their_ids() -> None:
    """The statement keeps the order in which it is given them: see its plan in test_sink.py."""
    people = [RecipientId(UUID(int=n)) for n in (3, 1, 2**127, 2)]
    given = merge_parameters({person: Facts(attempt=1) for person in people})["id"]
    assert given == uuids([person.bytes for person in sorted(people, key=lambda each: each.int)])


@pytest.mark.parametrize("is_pipelined", [False, True])
async def test_where_another_sink_was_faster_nothing_is_committed(two: Two, is_pipelined: bool) -> None:
    """In a pipeline the commit is on its way before anybody has looked at how many rows the compare-and-set found."""
    (person,) = await two.world.add_recipients(1)
    topic = TopicIdentity("cluster", "t", "id")
    await accept_topic(two.world.connection, topic, {0: (0, 100)})
    await advance_offsets(two.second, topic, {0: (0, 10)})

    async def write() -> None:
        async with two.first.pipeline() if is_pipelined else nullcontext(), two.first.transaction():
            await two.first.execute("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", [person])
            await advance_offsets(two.first, topic, {0: (0, 12)})

    with pytest.raises(psycopg.Error) as raised:
        await write()
    assert has_moved(raised.value)
    assert (await read_facts(two.world.connection, [person]))[person].attempt == 0
    assert await read_offsets(two.world.connection, topic, {0: (0, 100)}) == {0: 10}


@pytest.mark.parametrize("other", [TopicIdentity("cluster", "t", "new"), TopicIdentity("another", "t", "id")])
async def test_the_offset_of_another_topic_is_not_moved(two: Two, other: TopicIdentity) -> None:
    """The topic was recreated and accepted while a sink still held a batch of the old one."""
    await accept_topic(two.world.connection, TopicIdentity("cluster", "t", "id"), {0: (0, 100)})
    with pytest.raises(psycopg.Error) as raised:
        await advance_offsets(two.first, other, {0: (0, 12)})
    assert has_moved(raised.value)


async def test_what_makes_our_code_raise_is_found_alone(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised again by every fresh process, it would be an endless restart."""
    people = await two.world.add_recipients(5)

    def raising(given: RecipientEvent, attempt: int) -> Facts:
        if given.recipient_id == people[3]:
            raise ZeroDivisionError
        return facts_of(given, attempt)

    monkeypatch.setattr(fold, "facts_of", raising)
    batch = [event(person, wamid=Wamid(f"wamid.{person}")) for person in people]
    applied = await apply_by_halves(two.first, batch, KnownPhoneNumbers())
    assert (applied.refused, applied.rows_changed) == ({3: DeadLetterReason.BUG}, 4)


@pytest.mark.usefixtures("topics")
async def test_nothing_is_committed_before_its_dead_letters_are_acknowledged(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (person,) = await world.add_recipients(1)
    publish, tries, is_away = AsyncPublisher.publish_batch, 0, True

    async def publish_batch(
        self: AsyncPublisher, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        nonlocal tries
        tries += 1
        if is_away:
            raise PublishFailed("away")
        return await publish(self, records, timeout_s)

    async def has_tried_often() -> bool:
        return tries >= 3

    monkeypatch.setattr(AsyncPublisher, "publish_batch", publish_batch)
    key = str(person).encode()
    await world.publish(world.events, (key, b"poison"))
    await world.publish_events(world.event(person, EventKind.DELIVERED))
    async with world.running_sinks():
        await eventually_async(has_tried_often)
        assert await _progress_of(world) == (0, "pending")
        is_away = False
        await world.wait_for_applied(2)
    assert await _progress_of(world) == (2, "delivered")
    dead: list[Any] = await world.read(world.events + ".dead")
    assert [message.value() for message in dead] == [b"poison"]


async def locked_rows(world: World) -> int:
    """The number of rows of recipients and messages that a transaction has locked."""
    async with world.another() as other, other.transaction(force_rollback=True):
        locked = 0
        for table in ("campaign_recipients", "messages"):
            free = await (await other.execute(f"SELECT FROM {table} FOR UPDATE SKIP LOCKED".encode())).fetchall()
            locked += await world.count(table) - len(free)
    return locked


@pytest.mark.usefixtures("topics")
async def test_no_row_is_locked_while_kafka_acknowledges_dead_letters(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every kind: not an event, refused by its time, by the database. Another sink would wait for the locks."""
    good, early, bad = await world.add_recipients(3)
    await world.run("INSERT INTO messages (wamid, recipient_id, attempt) VALUES ('wamid.1', %s, 1)", good)
    broken = Failure(code=1, reason="a\x00b", retry_class=RetryClass.NEVER, backoff_s=0)
    publish, locked = AsyncPublisher.publish_batch, []

    async def publish_batch(self: AsyncPublisher, *arguments: Any) -> list[tuple[int, int]]:
        locked.append(await locked_rows(world))
        return await publish(self, *arguments)

    monkeypatch.setattr(AsyncPublisher, "publish_batch", publish_batch)
    events = [
        world.event(good, EventKind.DELIVERED, wamid=Wamid("wamid.1")),
        world.event(early, EventKind.SENT, -60 * 48),
        world.event(bad, EventKind.FAILED, failure=broken),
    ]
    await world.publish(world.events, *((b"together", value) for value in (b"{}", *map(encode, events))))
    async with world.running_sinks():
        await world.wait_for_applied(4)
    assert locked
    assert set(locked) == {0}
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", good) == "delivered"
    assert len(await world.read(world.events + ".dead")) == 3


@pytest.mark.usefixtures("topics")
async def test_dead_letters_are_published_once_while_postgres_refuses_the_batch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise an outage would fill the topic of dead letters, and halt the sink at its limit."""
    (person,) = await world.add_recipients(1)
    tries = 0

    async def refuse_twice(*arguments: Any) -> None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise psycopg.OperationalError("the disk is full")
        await advance_offsets(*arguments)

    monkeypatch.setattr("tables.offsets.advance_offsets", refuse_twice)
    world.settings = world.settings.model_copy(update={"dead_letter_rate_max": 1})
    await world.publish(world.events, (b"x", b"poison"), (b"x", encode(world.event(person, EventKind.DELIVERED))))
    async with world.running_sinks():
        await world.wait_for_applied(2)
    assert tries == 3
    assert await _progress_of(world) == (2, "delivered")
    assert len(await world.read(world.events + ".dead")) == 1


async def _progress_of(world: World) -> tuple[int, str]:
    return await world.applied_records(), await world.value("SELECT status FROM campaign_recipients")


async def test_the_keys_that_an_answer_names_are_linked_in_the_transaction_of_its_event(world: World) -> None:
    (person,) = await world.add_recipients(1)
    accepted = event(person).model_copy(update={"also_known_as": ["15559990001", "user:US.1"]})
    refused = event(RecipientId(UUID(int=1))).model_copy(update={"also_known_as": ["15559990002"]})
    async with world.connection.transaction():
        applied = await apply_events(world.connection, [accepted, refused], KnownPhoneNumbers())
    assert list(applied.refused) == [1]
    linked = await world.run(
        "SELECT linked_to FROM person_links JOIN campaign_recipients USING (person) WHERE id = %s", person
    )
    assert sorted(linked) == [("15559990001",), ("user:US.1",)]
    assert await world.count("person_links") == 4
