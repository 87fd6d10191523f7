"""The sink on a real broker and a real Postgres: what it applies, refuses, survives, and will not touch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaException

from domain.facts import Facts
from runtime.settings import Settings, read_settings
from schemas.codec import encode
from schemas.dead_letters import read_headers
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.places import OffsetMismatch
from sinks import sink
from tables import recipients, stats
from tables.database import Connection, connect
from tables.recipients import SQL, merge_parameters
from tests.support.campaign_rows import NUMBER_ID, add_campaign, add_recipients
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, delete_topic, put, read_all
from tests.support.waiting import eventually_async
from topics import dead_letter_limit
from topics.dead_letter_limit import TooManyDeadLetters


class World:
    """A campaign, its topics, and sinks that run while the test looks on."""

    def __init__(self, settings: Settings, connection: Connection, campaign: CampaignId) -> None:
        self.settings, self.connection, self.campaign = settings, connection, campaign
        self.kafka = settings.kafka_bootstrap_servers
        self.topic = settings.topic("recipient.events")

    async def people(self, count: int) -> list[RecipientId]:
        return await add_recipients(self.connection, self.campaign, count)

    def say(self, *events: RecipientEvent) -> None:
        put(self.kafka, self.topic, [(event.key, encode(event)) for event in events])

    async def one(self, statement: str, *parameters: Any) -> Any:
        row = await (await self.connection.execute(statement.encode(), parameters)).fetchone()
        return row[0] if row else None

    def shows(self, statement: str, expected: Any, *parameters: Any) -> Callable[[], Any]:
        async def holds() -> bool:
            return bool(await self.one(statement, *parameters) == expected)

        return holds

    async def in_status(self, word: str, count: int) -> None:
        counted = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status = %s"
        await eventually_async(self.shows(counted, count, self.campaign, word))

    @contextlib.asynccontextmanager
    async def sinks(self, count: int = 1) -> AsyncIterator[list[asyncio.Task[None]]]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(sink.run(self.settings, stop)) for _ in range(count)]
        try:
            yield tasks
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    def dead(self) -> dict[str, bytes]:
        """Dead letters by reason."""
        found = {}
        for message in read_all(self.kafka, self.topic + ".dead"):
            headers = message.headers()
            assert isinstance(headers, list)
            letter = read_headers(headers)
            assert (letter.stage, letter.origin.topic) == ("sink", self.topic)
            found[letter.reason] = message.value() or b""
        return found


@pytest.fixture
async def world(kafka: str, database_url: str, topic_prefix: str) -> AsyncIterator[World]:
    settings = read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
    })  # fmt: skip
    topic = settings.topic("recipient.events")
    await asyncio.to_thread(create_topics, kafka, topic)
    await asyncio.to_thread(create_topics, kafka, topic + ".dead", partitions=1)
    async with await connect(database_url, application_name="test") as connection:
        yield World(settings, connection, await add_campaign(connection))


def event(person: RecipientId, kind: EventKind, minutes: float = 0, **fields: Any) -> RecipientEvent:
    at = START + timedelta(minutes=minutes)
    known: dict[str, Any] = {
        "recipient_id": person, "attempt": 1, "wamid": Wamid(f"wamid.{person}"), "phone_number_id": NUMBER_ID,
        "occurred_at": at, "received_at": at,
    }  # fmt: skip
    return RecipientEvent(kind=kind, **(known | fields))


async def test_events_become_rows_counters_and_offsets(world: World) -> None:
    people = await world.people(50)
    kinds = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)
    world.say(*(event(person, kind, minute) for minute, kind in enumerate(kinds) for person in people))
    async with world.sinks():
        await world.in_status("read", 50)
        stored = "SELECT sum(next_offset)::int FROM sink_offsets WHERE topic = %s"
        await eventually_async(world.shows(stored, 200, world.topic))
    told = (await stats.read(world.connection, [world.campaign]))[world.campaign]
    assert (told.total_target, told.sent, told.delivered, told.read, told.pending) == (50, 50, 50, 50, 0)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_a_bad_record_harms_only_itself(world: World) -> None:
    good, bad = await world.people(2)
    nul = Failure(code=131026, reason="a\x00b", retry_class=RetryClass.NEVER, backoff_s=0)
    put(world.kafka, world.topic, [(b"x", b'{"kind": "no such"}')])
    world.say(
        event(bad, EventKind.FAILED, failure=nul),
        event(RecipientId(uuid4()), EventKind.SENT),
        event(bad, EventKind.SENT, minutes=-3 * 24 * 60),
        event(bad, EventKind.DELIVERED, occurred_at=START + timedelta(hours=1), received_at=START),
        event(good, EventKind.DELIVERED),
    )
    async with world.sinks():
        await world.in_status("delivered", 1)
        await eventually_async(world.shows("SELECT sum(next_offset)::int FROM sink_offsets", 6))
    dead = world.dead()
    assert set(dead) == {
        "malformed", "refused_by_database", "unknown_recipient", "timestamp_too_old", "timestamp_in_future",
    }  # fmt: skip
    assert dead["malformed"] == b'{"kind": "no such"}'
    assert await world.one("SELECT status FROM campaign_recipients WHERE id = %s", bad) == "pending"


async def test_rows_are_never_ahead_of_the_offsets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while an event of the batch is found to be at fault: an audit and a rebuild rely on it."""
    good, bad = await world.people(2)
    broken = Failure(code=1, reason="a\x00b", retry_class=RetryClass.NEVER, backoff_s=0)
    seen = []
    finish = sink.Sink._finish

    async def look_and_finish(self: sink.Sink, *arguments: Any) -> None:
        seen.append(await world.one("SELECT count(*) FROM campaign_recipients WHERE attempt > 0"))
        await finish(self, *arguments)

    monkeypatch.setattr(sink.Sink, "_finish", look_and_finish)
    said = [event(good, EventKind.SENT), event(bad, EventKind.FAILED, failure=broken)]
    put(world.kafka, world.topic, [(b"together", encode(each)) for each in said])
    async with world.sinks():
        await eventually_async(world.shows("SELECT sum(next_offset)::int FROM sink_offsets", 2))
    assert seen == [0]
    assert await world.one("SELECT count(*) FROM campaign_recipients WHERE attempt > 0") == 1
    assert list(world.dead()) == ["refused_by_database"]


async def test_several_sinks_share_the_work_and_survive_lost_connections(world: World) -> None:
    people = await world.people(300)
    async with world.sinks(3):
        for kind in (EventKind.SENT, EventKind.READ, EventKind.DELIVERED, EventKind.ACCEPTED):
            world.say(*(event(person, kind, minute) for minute in (2, 1) for person in people))
            await world.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'campaigns-sink'"
                " AND datname = current_database()"
            )
        await eventually_async(world.shows("SELECT sum(next_offset)::int FROM sink_offsets", 2400))
    await world.in_status("read", 300)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_a_sink_that_lost_its_place_reads_it_again(world: World) -> None:
    people = await world.people(20)
    async with world.sinks():
        world.say(*(event(person, EventKind.SENT) for person in people))
        await world.in_status("sent", 20)
        await eventually_async(world.shows("SELECT sum(next_offset)::int FROM sink_offsets", 20))
        await world.connection.execute("UPDATE sink_offsets SET next_offset = 0")
        world.say(*(event(person, EventKind.READ, 1) for person in people))
        await world.in_status("read", 20)
        await eventually_async(world.shows("SELECT sum(next_offset)::int FROM sink_offsets", 40))


async def test_a_recreated_topic_stops_the_sink_until_it_is_accepted(world: World) -> None:
    (person,) = await world.people(1)
    world.say(event(person, EventKind.SENT))
    async with world.sinks():
        await world.in_status("sent", 1)
    delete_topic(world.kafka, world.topic)
    await eventually_async(lambda: _can_create(world))
    world.say(event(person, EventKind.READ))
    with pytest.raises(OffsetMismatch, match="--accept-topic"):
        await asyncio.wait_for(sink.run(world.settings, asyncio.Event()), 30)
    await sink.accept_topic(world.settings)
    async with world.sinks():
        await world.in_status("read", 1)


async def _can_create(world: World) -> bool:
    """A deleted topic keeps its name for a moment."""
    try:
        await asyncio.to_thread(create_topics, world.kafka, world.topic)
    except KafkaException:
        return False
    return True


async def test_an_offset_beyond_the_end_stops_the_sink(world: World) -> None:
    (person,) = await world.people(1)
    world.say(event(person, EventKind.SENT))
    async with world.sinks():
        await world.in_status("sent", 1)
    await world.connection.execute("UPDATE sink_offsets SET next_offset = 1000")
    with pytest.raises(OffsetMismatch, match="beyond the end"):
        await asyncio.wait_for(sink.run(world.settings, asyncio.Event()), 30)


async def test_too_many_dead_letters_stop_the_sink(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    few = world.settings.model_copy(update={"dead_letter_rate_max": 10})
    put(world.kafka, world.topic, [(b"x", b"{}")] * 11)
    stop = asyncio.Event()
    stood: list[TooManyDeadLetters] = []

    async def halt_until_stopped(error: TooManyDeadLetters, *arguments: Any) -> None:
        stood.append(error)
        stop.set()
        await dead_letter_limit.halt_until_stopped(error, *arguments)

    monkeypatch.setattr(sink, "halt_until_stopped", halt_until_stopped)
    await asyncio.wait_for(sink.run(few, stop), 30)
    assert len(stood) == 1, "it neither ends nor tries again"
    passed = await world.one("SELECT coalesce(sum(next_offset), 0)::int FROM sink_offsets")
    dead = await asyncio.to_thread(read_all, world.kafka, world.topic + ".dead")
    assert passed == len(dead) < 11, "nothing of the batch is set aside, or passed"


async def test_rows_are_locked_in_the_order_of_their_ids(world: World) -> None:
    """Claims and releases lock by id too; otherwise sinks and senders would wait for each other in a circle."""
    people = await world.people(500)
    parameters = merge_parameters({person: Facts(attempt=1) for person in people})
    url = world.settings.database_url.get_secret_value()
    async with await connect(url, application_name="test", session=recipients.MERGE_SESSION) as connection:
        plan = await (await connection.execute(b"EXPLAIN " + SQL["merge_recipients"].encode(), parameters)).fetchall()
    steps = [line.strip(" ->") for (line,) in plan]
    assert steps[1].startswith("Nested Loop")
    assert steps[2].startswith("Function Scan on f")
    assert steps[3].startswith("Index Scan using campaign_recipients_pkey")
