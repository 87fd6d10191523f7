"""The sink on a real broker and a real Postgres: what it applies, refuses, survives, and will not touch."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.facts import Facts
from runtime import metrics
from schemas.codec import encode
from schemas.dead_letters import read_headers
from schemas.events import EventKind, Failure, RetryClass
from schemas.model import RecipientId, Wamid
from schemas.places import OffsetMismatch
from sinks import sink
from tables import recipients, stats
from tables.fact_columns import merge_parameters
from tables.recipients import SQL
from tests.support.histories import START
from tests.support.kafka_topics import recreate_topic
from tests.support.processes import process
from tests.support.world import World
from topics import dead_letter_limit
from topics.dead_letter_limit import TooManyDeadLetters
from topics.exits import EXITS_MAX
from topics.publisher import AsyncPublisher

pytestmark = pytest.mark.usefixtures("topics")


async def wait_for_status(world: World, word: str, count: int) -> None:
    """Wait until so many recipients have the status."""
    counted = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND status = %s"
    await world.wait_for_value(count, counted, world.campaign, word)


async def dead_letters(world: World) -> dict[str, bytes]:
    """The dead letters of the sink by reason."""
    found = {}
    for message in await world.read(world.events + ".dead"):
        headers = message.headers()
        assert isinstance(headers, list)
        letter = read_headers(headers)
        assert (letter.stage, letter.origin.topic) == ("sink", world.events)
        found[letter.reason] = message.value() or b""
    return found


async def test_events_become_rows_counters_and_offsets(world: World) -> None:
    people = await world.add_recipients(50)
    kinds = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)
    await world.publish_events(
        *(world.event(person, kind, minute) for minute, kind in enumerate(kinds) for person in people)
    )
    async with world.running_sinks():
        await wait_for_status(world, "read", 50)
        await world.wait_for_applied(200)
    totals = (await stats.read(world.connection, [world.campaign]))[world.campaign]
    assert (totals.total_target, totals.sent, totals.delivered, totals.read, totals.pending) == (50, 50, 50, 50, 0)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_a_bad_record_harms_only_itself(world: World) -> None:
    good, bad = await world.add_recipients(2)
    nul = Failure(code=131026, reason="a\x00b", retry_class=RetryClass.NEVER, backoff_s=0)
    await world.publish(world.events, (b"x", b'{"kind": "no such"}'))
    await world.publish_events(
        world.event(bad, EventKind.FAILED, failure=nul),
        world.event(RecipientId(uuid4()), EventKind.ACCEPTED),
        world.event(bad, EventKind.SENT, minutes=-3 * 24 * 60),
        world.event(bad, EventKind.DELIVERED, occurred_at=datetime.now(UTC) + timedelta(hours=1), received_at=START),
        world.event(good, EventKind.DELIVERED),
    )
    async with world.running_sinks():
        await wait_for_status(world, "delivered", 1)
        await world.wait_for_applied(6)
    dead = await dead_letters(world)
    assert set(dead) == {
        "malformed", "refused_by_database", "unknown_recipient", "timestamp_too_old", "timestamp_in_future",
    }  # fmt: skip
    assert dead["malformed"] == b'{"kind": "no such"}'
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", bad) == "pending"


async def test_rows_are_never_ahead_of_the_offsets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while an event of the batch is found to be at fault: an audit and a rebuild rely on it."""
    good, bad = await world.add_recipients(2)
    broken = Failure(code=1, reason="a\x00b", retry_class=RetryClass.NEVER, backoff_s=0)
    seen = []
    publish = AsyncPublisher.publish_batch

    async def query_and_publish(self: AsyncPublisher, *arguments: Any) -> Any:
        seen.append(await world.value("SELECT count(*) FROM campaign_recipients WHERE attempt > 0"))
        return await publish(self, *arguments)

    monkeypatch.setattr(AsyncPublisher, "publish_batch", query_and_publish)
    published = [world.event(good, EventKind.SENT), world.event(bad, EventKind.FAILED, failure=broken)]
    await world.publish(world.events, *((b"together", encode(each)) for each in published))
    async with world.running_sinks():
        await world.wait_for_applied(2)
    assert seen == [0]
    assert await world.value("SELECT count(*) FROM campaign_recipients WHERE attempt > 0") == 1
    assert list(await dead_letters(world)) == ["refused_by_database"]


async def test_several_sinks_share_the_work_and_survive_lost_connections(world: World) -> None:
    people = await world.add_recipients(300)
    async with world.running_sinks(3):
        for kind in (EventKind.SENT, EventKind.READ, EventKind.DELIVERED, EventKind.ACCEPTED):
            await world.publish_events(*(world.event(person, kind, minute) for minute in (2, 1) for person in people))
            await world.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'campaigns-sink'"
                " AND datname = current_database()"
            )
        await world.wait_for_applied(2400)
    await wait_for_status(world, "read", 300)
    assert await stats.recount(world.connection, world.campaign) == []


async def test_a_sink_that_lost_its_place_reads_it_again(world: World) -> None:
    people = await world.add_recipients(20)
    async with world.running_sinks():
        await world.publish_events(*(world.event(person, EventKind.SENT) for person in people))
        await wait_for_status(world, "sent", 20)
        await world.wait_for_applied(20)
        await world.connection.execute("UPDATE sink_offsets SET next_offset = 0")
        await world.publish_events(*(world.event(person, EventKind.READ, 1) for person in people))
        await wait_for_status(world, "read", 20)
        await world.wait_for_applied(40)


async def test_a_recreated_topic_stops_the_sink_until_it_is_accepted(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await world.publish_events(world.event(person, EventKind.SENT))
    async with world.running_sinks():
        await wait_for_status(world, "sent", 1)
    await asyncio.to_thread(recreate_topic, world.settings, world.events)
    await world.publish_events(world.event(person, EventKind.READ))
    with pytest.raises(OffsetMismatch, match="--accept-topic"):
        await asyncio.wait_for(sink.run(world.settings, asyncio.Event()), 30)
    await sink.accept_topic(world.settings)
    async with world.running_sinks():
        await wait_for_status(world, "read", 1)


async def test_an_offset_beyond_the_end_stops_the_sink(world: World) -> None:
    (person,) = await world.add_recipients(1)
    await world.publish_events(world.event(person, EventKind.SENT))
    async with world.running_sinks():
        await wait_for_status(world, "sent", 1)
    await world.connection.execute("UPDATE sink_offsets SET next_offset = 1000")
    with pytest.raises(OffsetMismatch, match="beyond the end"):
        await asyncio.wait_for(sink.run(world.settings, asyncio.Event()), 30)


async def test_a_sink_applies_up_to_its_limit_halts_and_gets_further_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = world.settings.model_copy(update={"dead_letter_rate_max": 10})
    await world.publish(world.events, *[(b"x", b"{}")] * 25)
    halts: list[TooManyDeadLetters] = []

    async def run_until_halted() -> tuple[int, int]:
        stop = asyncio.Event()

        async def halt_until_stopped(error: TooManyDeadLetters, *arguments: Any) -> None:
            halts.append(error)
            stop.set()
            await dead_letter_limit.halt_until_stopped(error, *arguments)

        monkeypatch.setattr(sink, "halt_until_stopped", halt_until_stopped)
        await asyncio.wait_for(sink.run(few, stop), 30)
        return await world.applied_records(), len(await world.read(world.events + ".dead"))

    assert [await run_until_halted() for _ in range(2)] == [(10, 10), (20, 20)]
    assert len(halts) == 2, "it neither ends nor tries again"


async def test_people_who_were_deleted_never_stop_the_sink(world: World) -> None:
    few = world.settings.model_copy(update={"dead_letter_rate_max": 3})
    (kept,) = await world.add_recipients(1)
    gone = [RecipientId(uuid4()) for _ in range(10)]
    erased = metrics.SINK_ERASED._value.get()
    await world.publish_events(
        *(world.event(person, kind) for person in gone for kind in (EventKind.DELIVERED, EventKind.ACCEPTED)),
        world.event(kept, EventKind.DELIVERED),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(sink.run(few, stop))
    await world.wait_for_applied(21)
    stop.set()
    await running
    assert metrics.SINK_ERASED._value.get() - erased == 10
    reasons = [read_headers(letter.headers()).reason for letter in await world.read(world.events + ".dead")]
    assert reasons == ["unknown_recipient"] * 10
    assert await world.value("SELECT status FROM campaign_recipients WHERE id = %s", kept) == "delivered"


async def test_an_event_that_kills_each_sink_is_dead_lettered_and_the_others_are_applied(
    world: World, tmp_path: Path
) -> None:
    people = await world.add_recipients(6)
    published = [world.event(person, EventKind.DELIVERED) for person in people]
    killer = world.event(people[0], EventKind.READ, wamid=Wamid("wamid.killer"))
    values = [encode(event) for event in (*published[:3], killer, *published[3:])]
    await world.publish(world.events, *((b"together", value) for value in values))
    environment = {**world.environment, "CAMPAIGNS_INSTANCE": "one"}
    for _ in range(EXITS_MAX + 1):
        with process("tests.support.programs.killed_sink", environment, tmp_path) as running:
            assert await asyncio.to_thread(running.wait) == -signal.SIGKILL
    with process("tests.support.programs.killed_sink", environment, tmp_path) as running:
        await world.wait_for_applied(7)
        assert await asyncio.to_thread(running.stop) == 0
    assert await dead_letters(world) == {"bug": encode(killer)}
    await wait_for_status(world, "delivered", 6)


async def test_rows_are_locked_in_the_order_of_their_ids(world: World) -> None:
    """Claims and releases lock by id too; otherwise sinks and senders would wait for each other in a circle."""
    people = await world.add_recipients(500)
    parameters = merge_parameters({person: Facts(attempt=1) for person in people})
    async with world.another(**recipients.MERGE_SESSION) as connection:
        plan = await (await connection.execute(b"EXPLAIN " + SQL["merge_recipients"].encode(), parameters)).fetchall()
    steps = [line.strip(" ->") for (line,) in plan]
    assert steps[1].startswith("Nested Loop")
    assert steps[2].startswith("Function Scan on f")
    assert steps[3].startswith("Index Scan using campaign_recipients_pkey")
