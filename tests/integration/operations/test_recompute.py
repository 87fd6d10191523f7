"""Rows are recomputed from the kept topic, compared column by column, and restored after a bad release."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.error_codes import failure
from operations.comparison import Comparison, compare_with_topic
from operations.rebuild import RebuildOptions, RebuildRefused, Rebuilt, rebuild
from operations.recompute import Recomputation
from operations.replay import ReplayOptions
from operations.replay import run as replay
from operations.replay_apply import MakesDue
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.places import OffsetMismatch
from schemas.topics import Topic
from sinks.sink import accept_topic
from tables import stats
from tests.support.event_world import EventWorld, an_event_world, wait_for_leaders
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, delete_records, delete_topic
from tests.support.processes import run_command

KINDS = (EventKind.READ, EventKind.SENT, EventKind.ACCEPTED, EventKind.DELIVERED)


@pytest.fixture
async def world(kafka: str, database_url: str, topic_prefix: str) -> AsyncIterator[EventWorld]:
    async with an_event_world(kafka, database_url, topic_prefix) as made:
        yield made
        assert await made.rows("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'campaigns_side')") == []


async def compare(world: EventWorld) -> Comparison:
    return await compare_with_topic(world.settings, world.campaign)


async def restore(world: EventWorld, *, allow_retries: bool = False) -> Rebuilt:
    return await rebuild(world.settings, RebuildOptions(world.campaign, is_applied=True, allow_retries=allow_retries))


async def replayed(world: EventWorld, topic: Topic) -> None:
    answer = await replay(world.settings, ReplayOptions(topic.value), asyncio.Event())
    assert answer.verdict == "applied"


async def pause(world: EventWorld) -> None:
    await world.run("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'")


async def recreate(world: EventWorld, topic: str) -> None:
    await asyncio.to_thread(delete_topic, world.kafka, topic)
    await asyncio.to_thread(create_topics, world.kafka, topic)
    await asyncio.to_thread(wait_for_leaders, world.settings, topic)


async def publish(world: EventWorld, *events: RecipientEvent) -> None:
    """Publish events, and wait until a sink has applied them."""
    known = await world.one("SELECT coalesce(sum(next_offset), 0)::int FROM sink_offsets")
    async with world.sinks():
        await world.say(*events)
        await world.applied(known + len(events))


def campaigns(world: EventWorld, folder: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code of a command, and its JSON."""
    code, out, error = run_command(world.environment, folder, *arguments, "--json")
    assert code in {0, 1, 75}, error
    return code, json.loads(out)


async def test_rows_equal_their_events_and_a_difference_is_explained(world: EventWorld, tmp_path: Path) -> None:
    people = await world.people(30)
    loose = [world.event(p, EventKind.READ, 5, recipient_id=None, attempt=None, campaign_id=None) for p in people[:5]]
    await publish(world, *loose, *(world.event(person, kind, 2) for person in people[:20] for kind in KINDS))
    released, settled, nobody_knows = people[20], people[0], people[21]
    await world.run("UPDATE campaign_recipients SET attempt = attempt + 1 WHERE id = ANY(%s)", [released, settled])
    await world.run(
        "INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)"
        " VALUES (%s, 1, %s, '1', now(), now())", released, world.campaign,
    )  # fmt: skip
    found = await compare(world)
    assert (found.rows, found.equal, found.differs, found.attempt_ahead) == (30, 30, 0, 2)

    await world.run("UPDATE campaign_recipients SET attempt = 2 WHERE id = %s", nobody_knows)
    found = await compare(world)
    assert (found.differs, found.attempt_ahead) == (1, 2), "neither released nor claimed"
    assert found.differences[0].change.columns == ("attempt", "status")
    await world.run("UPDATE campaign_recipients SET attempt = 0, sent_at = %s WHERE id = %s", START, nobody_knows)
    found = await compare(world)
    assert [each.change.columns for each in found.differences] == [("sent_at",)], "written by hand, without an attempt"
    await world.run("UPDATE campaign_recipients SET sent_at = NULL WHERE id = %s", nobody_knows)

    wrong = people[7]
    await world.run("UPDATE campaign_recipients SET read_at = read_at + interval '1 h' WHERE id = %s", wrong)
    await world.run("UPDATE campaign_recipients SET attempt = 0 WHERE id = %s", people[8])
    found = await compare(world)
    assert (found.equal, found.differs) == (28, 2)
    by_id = {each.change.recipient_id: each for each in found.differences}
    assert by_id[wrong].change.columns == ("read_at",)
    assert by_id[wrong].change.after["read_at"] == START + timedelta(minutes=2)
    assert sorted(event.kind for event in by_id[wrong].events) == ["accepted", "delivered", "read", "sent"]
    assert by_id[people[8]].change.columns == ("attempt",)

    code, document = await asyncio.to_thread(campaigns, world, tmp_path, "verify", "--from-topic")
    assert (code, document["verdict"], document["from_topic"]["differs"]) == (1, "differs", 2)


async def test_an_answer_on_its_way_is_no_difference(world: EventWorld) -> None:
    waiting, lost, *others = await world.people(4)
    await publish(world, *(world.event(person, EventKind.SENT) for person in others))
    for person, published in ((waiting, None), (lost, START)):
        skip = world.event(person, EventKind.SKIPPED, wamid=None, skip_reason="opted_out")
        await world.run(
            "UPDATE campaign_recipients SET attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out' WHERE id = %s",
            person)  # fmt: skip
        await world.run(
            "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, lease_until,"
            " outcome, outcome_at, event, published_at)"
            " VALUES (%s, 1, %s, now(), now(), gen_random_uuid(), now(), 'skipped', now(), %s, %s)",
            person, world.campaign, encode(skip).decode(), published,
        )  # fmt: skip
    found = await compare(world)
    assert (found.waiting, found.differs) == (1, 1)
    assert found.differences[0].change.recipient_id == lost


async def test_what_the_topic_has_deleted_is_outside_retention(world: EventWorld) -> None:
    old, wrong, new = await world.people(3)
    await publish(world, world.event(old, EventKind.SENT), world.event(wrong, EventKind.SENT))
    ends = {row[0]: row[1] for row in await world.rows("SELECT topic_partition, next_offset FROM sink_offsets")}
    await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
    await publish(world, world.event(new, EventKind.SENT), world.event(wrong, EventKind.READ, 1))
    found = await compare(world)
    assert (found.outside_retention, found.differs, found.equal) == (2, 0, 1)
    await world.run("UPDATE campaign_recipients SET read_at = NULL WHERE id = %s", wrong)
    found = await compare(world)
    assert [each.change.recipient_id for each in found.differences] == [wrong], (
        "the topic has more facts, so retention is not the cause"
    )
    await world.run("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'")
    done = await restore(world)
    assert (done.outside_retention, done.rows_swapped) == (2, 0), "the facts of deleted events stay in the rows"
    assert await world.rows("SELECT DISTINCT sent_at FROM campaign_recipients") == [(START,)]


async def test_a_row_whose_first_attempt_is_deleted_is_outside_retention(world: EventWorld) -> None:
    """The row has the times of its newest attempt only, which are younger than the deleted records."""
    [person] = await world.people(1)
    failed = failure(131000, "Something went wrong", attempt=1, from_webhook=True, time_scale=1)
    now = datetime.now(UTC)
    await world.run(
        "INSERT INTO send_ledger (recipient_id, attempt, campaign_id, budget_day, send_before, token, claimed_at,"
        " lease_until, outcome, outcome_at, event, published_at)"
        " VALUES (%s, 1, %s, now(), now(), gen_random_uuid(), %s, now(), 'accepted', now(), '{}', %s)",
        person, world.campaign, now - timedelta(hours=1), START,
    )  # fmt: skip
    await publish(world, world.event(person, EventKind.FAILED, failure=failed))
    ends = {row[0]: row[1] for row in await world.rows("SELECT topic_partition, next_offset FROM sink_offsets")}
    await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
    soon: dict[str, Any] = {"occurred_at": now + timedelta(minutes=5), "received_at": now + timedelta(minutes=5)}
    await publish(
        world, world.event(person, EventKind.FAILED, failure=failed, attempt=2, wamid=Wamid("wamid.2"), **soon)
    )
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (1, 0)
    await pause(world)
    assert (await restore(world, allow_retries=True)).rows_swapped == 0
    assert await world.one("SELECT retry_count FROM campaign_recipients") == 2


async def test_records_deleted_during_the_read_are_outside_retention(
    world: EventWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(world, *(world.event(person, EventKind.SENT) for person in await world.people(4)))
    ends = {row[0]: row[1] for row in await world.rows("SELECT topic_partition, next_offset FROM sink_offsets")}
    catch_up = Recomputation.catch_up

    async def delete_and_catch_up(self: Recomputation) -> None:
        await asyncio.to_thread(delete_records, world.kafka, world.events, ends)
        await catch_up(self)

    monkeypatch.setattr(Recomputation, "catch_up", delete_and_catch_up)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (4, 0)


async def test_a_replayed_change_is_no_difference_and_stays(world: EventWorld) -> None:
    lost, early, later = await world.people(3)
    await publish(world, *(world.event(person, EventKind.SENT, campaign_id=None) for person in (lost, early, later)))
    await world.hook(world.status(lost, "read", 3))
    await replayed(world, Topic.WEBHOOKS_RAW)
    await world.say(world.event(early, EventKind.DELIVERED, 4))
    await replayed(world, Topic.RECIPIENT_EVENTS)
    good = await world.everything(without=["next_offset"])
    found = await compare(world)
    assert (found.equal, found.differs) == (3, 0)
    await world.run("UPDATE campaign_recipients SET replied_at = sent_at WHERE id = %s", later)
    await pause(world)
    done = await restore(world)
    assert (done.differs, done.rows_swapped) == (1, 1)
    assert await world.everything(without=["next_offset"]) == good
    await recreate(world, world.webhooks)
    found = await compare(world)
    assert (found.differs, found.outside_retention) == (0, 1), "the replayed records no longer exist"


async def test_comparing_and_rebuilding_go_on_while_a_replay_does(world: EventWorld) -> None:
    people = await world.people(120)
    await publish(world, *(world.event(person, EventKind.SENT) for person in people))
    for person in people:
        await world.hook(world.status(person, "read", 3))
    await pause(world)
    options = ReplayOptions(Topic.WEBHOOKS_RAW.value, rate=40.0)
    flowing = asyncio.create_task(replay(world.settings, options, asyncio.Event()))
    seen = set()
    while not flowing.done():
        found = await compare(world)
        assert (found.differs, found.outside_retention) == (0, 0)
        seen.add(await world.one("SELECT count(*) FROM campaign_recipients WHERE status = 'read'"))
        assert (await restore(world)).differs == 0
    assert (await flowing).verdict == "applied"
    assert seen & set(range(1, 120)), "some comparisons ran during the replay"
    assert await world.rows("SELECT DISTINCT status FROM campaign_recipients") == [("read",)]


async def test_what_a_topic_has_lost_at_its_end_is_left_in_the_rows(world: EventWorld) -> None:
    [person] = await world.people(1)
    await publish(world, world.event(person, EventKind.SENT))
    await world.run("UPDATE campaign_recipients SET replied_at = sent_at")  # from an event that the broker has lost
    await accept_topic(world.settings)
    assert (await world.one("SELECT count(accepted_at) FROM sink_offsets")) == 0, "nothing is lost yet"
    await world.run("UPDATE sink_offsets SET next_offset = 9 WHERE topic_partition = 0")
    await accept_topic(world.settings)
    async with world.sinks():
        await world.applied(1)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (1, 0)


async def test_rows_from_before_a_topic_was_accepted_are_left_alone(world: EventWorld) -> None:
    await publish(world, *(world.event(person, EventKind.SENT) for person in await world.people(4)))
    await recreate(world, world.events)
    await accept_topic(world.settings)
    found = await compare(world)
    assert (found.outside_retention, found.differs) == (4, 0)
    await pause(world)
    done = await restore(world)
    assert (done.outside_retention, done.rows_swapped) == (4, 0)
    assert await world.rows("SELECT DISTINCT status FROM campaign_recipients") == [("sent",)]


async def test_comparing_goes_on_while_live_traffic_flows(world: EventWorld) -> None:
    people = await world.people(300)

    async def live() -> None:
        for kind in KINDS:
            await world.say(*(world.event(person, kind, 2) for person in people))

    async with world.sinks(2):
        flowing = asyncio.create_task(live())
        while not flowing.done():
            found = await compare(world)
            assert (found.differs, found.outside_retention) == (0, 0)
        await flowing
        await world.applied(1200)
    assert (await compare(world)).equal == 300


async def test_a_recreated_topic_is_not_compared(world: EventWorld) -> None:
    await publish(world, *(world.event(person, EventKind.SENT) for person in await world.people(4)))
    await recreate(world, world.events)
    with pytest.raises(OffsetMismatch):
        await compare(world)


async def test_only_a_bad_release_is_undone(world: EventWorld, tmp_path: Path) -> None:
    people = await world.people(1200)
    await publish(
        world, *(world.event(person, kind, 2) for person in people for kind in (EventKind.SENT, EventKind.READ))
    )
    good = await world.everything()
    await world.run("UPDATE campaign_recipients SET read_at = sent_at, replied_at = sent_at, sent_at = sent_at - '1 h'"
                    "::interval, delivered_at = sent_at WHERE id = ANY(%s)", people[:1100])  # fmt: skip
    await world.run("UPDATE campaign_recipients SET attempt = 4 WHERE id = %s", people[0])
    with pytest.raises(RebuildRefused, match="active"):
        await restore(world)
    with pytest.raises(RebuildRefused):
        await rebuild(world.settings, RebuildOptions(uuid4()))
    command = ("rebuild", "--campaign", str(world.campaign))
    code, shown = await asyncio.to_thread(campaigns, world, tmp_path, *command)
    assert (code, shown["differs"], shown["rows_swapped"]) == (1, 1100, 0)
    for change in shown["changes"][:2]:
        assert set(change["columns"]) == {"sent_at", "replied_at"}, "an attempt is never lowered"
    await world.run("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'")
    code, shown = await asyncio.to_thread(campaigns, world, tmp_path, *command, "--apply")
    assert (code, shown["rows_swapped"], shown["verdict"]) == (0, 1100, "rebuilt")
    assert await world.one("SELECT attempt FROM campaign_recipients WHERE id = %s", people[0]) == 4
    await world.run("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", people[0])
    assert await world.everything() == good
    assert await stats.recount(world.connection, world.campaign) == []
    assert (await restore(world)).differs == 0


async def test_a_rebuild_makes_no_recipient_due_unless_allowed(world: EventWorld) -> None:
    [person] = await world.people(1)
    failed = failure(131000, "Something went wrong", attempt=1, from_webhook=True, time_scale=1)
    await publish(world, world.event(person, EventKind.FAILED, failure=failed))
    await world.run("UPDATE campaign_recipients SET failure_class = 'never'")
    await world.run("UPDATE marketing_campaigns SET status = 'completed'")
    with pytest.raises(MakesDue):
        await restore(world)
    assert await world.one("SELECT next_attempt_at FROM campaign_recipients") is None
    assert (await restore(world, allow_retries=True)).rows_swapped == 1
    assert await world.one("SELECT next_attempt_at FROM campaign_recipients") is not None


async def test_events_that_come_during_a_rebuild_are_not_lost(world: EventWorld) -> None:
    people: list[RecipientId] = await world.people(900)
    await publish(world, *(world.event(person, EventKind.SENT) for person in people))
    await world.run("UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'x'")
    async with world.sinks(2):
        for minute in range(1, 3):
            await world.run("UPDATE campaign_recipients SET sent_at = sent_at - interval '1 h'")
            published = world.say(*(world.event(person, EventKind.READ, 10 - minute) for person in people))
            done, _ = await asyncio.gather(restore(world), published)
            assert done.rows_swapped == 900
        await world.applied(900 * 3)
    at = (START, START + timedelta(minutes=8), START + timedelta(minutes=8))
    assert await world.rows("SELECT DISTINCT sent_at, delivered_at, read_at FROM campaign_recipients") == [at]
    assert await stats.recount(world.connection, world.campaign) == []
