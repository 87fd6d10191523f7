"""A rebuild restores the rows that a bad release changed, and no others."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from operations.comparison import Comparison, compare_with_topic
from operations.rebuild import RebuildOptions, RebuildRefused, Rebuilt, rebuild
from operations.replay import ReplayOptions
from operations.replay import run as replay
from operations.replay_apply import MakesDue
from schemas.events import EventKind
from schemas.model import RecipientId
from schemas.topics import Topic
from tables import stats
from tests.support.histories import START
from tests.support.kafka_topics import recreate_topic
from tests.support.processes import run_command
from tests.support.replayed_rows import replayed_rows
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("topics", "no_shadow_tables_stay")


async def compare(world: World) -> Comparison:
    return await compare_with_topic(world.settings, world.campaign)


async def restore(world: World, *, allow_retries: bool = False) -> Rebuilt:
    return await rebuild(world.settings, RebuildOptions(world.campaign, is_applied=True, allow_retries=allow_retries))


async def replayed(world: World, topic: Topic) -> None:
    answer = await replay(world.settings, ReplayOptions(topic.value), asyncio.Event())
    assert answer.verdict == "applied"


def campaigns(world: World, folder: Path, *arguments: str) -> tuple[int, Any]:
    """The exit code of a command, and its JSON."""
    code, out, error = run_command(world.environment, folder, *arguments, "--json")
    assert code in {0, 1, 75}, error
    return code, json.loads(out)


async def test_a_replayed_change_is_no_difference_and_stays(world: World) -> None:
    lost, early, later = await world.add_recipients(3)
    await world.apply(*(world.event(person, EventKind.SENT, campaign_id=None) for person in (lost, early, later)))
    await world.publish_webhook(world.status(lost, "read", 3))
    await replayed(world, Topic.WEBHOOKS_RAW)
    await world.publish_events(world.event(early, EventKind.DELIVERED, 4))
    await replayed(world, Topic.RECIPIENT_EVENTS)
    good = await replayed_rows(world, without=["next_offset"])
    found = await compare(world)
    assert (found.equal, found.differs) == (3, 0)
    await world.run("UPDATE campaign_recipients SET replied_at = sent_at WHERE id = %s", later)
    await world.set_campaign_status("paused")
    done = await restore(world)
    assert (done.differs, done.rows_swapped) == (1, 1)
    assert await replayed_rows(world, without=["next_offset"]) == good
    await asyncio.to_thread(recreate_topic, world.settings, world.webhooks)
    found = await compare(world)
    assert (found.differs, found.outside_retention) == (0, 1), "the replayed records no longer exist"


async def test_comparing_and_rebuilding_go_on_while_a_replay_does(world: World) -> None:
    people = await world.add_recipients(120)
    await world.apply(*(world.event(person, EventKind.SENT) for person in people))
    for person in people:
        await world.publish_webhook(world.status(person, "read", 3))
    await world.set_campaign_status("paused")
    options = ReplayOptions(Topic.WEBHOOKS_RAW.value, rate=40.0)
    flowing = asyncio.create_task(replay(world.settings, options, asyncio.Event()))
    seen = set()
    while not flowing.done():
        found = await compare(world)
        assert (found.differs, found.outside_retention) == (0, 0)
        seen.add(await world.value("SELECT count(*) FROM campaign_recipients WHERE status = 'read'"))
        assert (await restore(world)).differs == 0
    assert (await flowing).verdict == "applied"
    assert seen & set(range(1, 120)), "some comparisons ran during the replay"
    assert await world.run("SELECT DISTINCT status FROM campaign_recipients") == [("read",)]


async def test_only_a_bad_release_is_undone(world: World, tmp_path: Path) -> None:
    people = await world.add_recipients(1200)
    await world.apply(*(world.event(person, kind, 2) for person in people for kind in (EventKind.SENT, EventKind.READ)))
    good = await replayed_rows(world)
    await world.run("UPDATE campaign_recipients SET read_at = sent_at, replied_at = sent_at, sent_at = sent_at - '1 h'"
                    "::interval, delivered_at = sent_at WHERE id = ANY(%s)", people[:1100])  # fmt: skip
    await world.run("UPDATE campaign_recipients SET attempt = 4 WHERE id = %s", people[0])
    with pytest.raises(RebuildRefused, match="active"):
        await restore(world)
    with pytest.raises(RebuildRefused):
        await rebuild(world.settings, RebuildOptions(uuid4()))
    command = ("rebuild", "--campaign", str(world.campaign))
    code, shown = await asyncio.to_thread(campaigns, world, tmp_path, *command, "--dry-run")
    assert (code, shown["differs"], shown["rows_swapped"]) == (1, 1100, 0)
    for change in shown["changes"][:2]:
        assert set(change["columns"]) == {"sent_at", "replied_at"}, "an attempt is never lowered"
    await world.set_campaign_status("paused")
    code, shown = await asyncio.to_thread(campaigns, world, tmp_path, *command, "--yes")
    assert (code, shown["rows_swapped"], shown["verdict"]) == (0, 1100, "rebuilt")
    assert await world.value("SELECT attempt FROM campaign_recipients WHERE id = %s", people[0]) == 4
    await world.run("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", people[0])
    assert await replayed_rows(world) == good
    assert await stats.recount(world.connection, world.campaign) == []
    assert (await restore(world)).differs == 0


async def test_a_rebuild_makes_no_recipient_due_unless_allowed(world: World) -> None:
    [person] = await world.add_recipients(1)
    await world.apply(world.retryable_failure(person))
    await world.run("UPDATE campaign_recipients SET failure_class = 'never'")
    await world.run("UPDATE marketing_campaigns SET status = 'completed'")
    with pytest.raises(MakesDue):
        await restore(world)
    assert await world.value("SELECT next_attempt_at FROM campaign_recipients") is None
    assert (await restore(world, allow_retries=True)).rows_swapped == 1
    assert await world.value("SELECT next_attempt_at FROM campaign_recipients") is not None


async def test_events_that_come_during_a_rebuild_are_not_lost(world: World) -> None:
    people: list[RecipientId] = await world.add_recipients(900)
    await world.apply(*(world.event(person, EventKind.SENT) for person in people))
    await world.set_campaign_status("paused")
    async with world.running_sinks(2):
        for minute in range(1, 3):
            await world.run("UPDATE campaign_recipients SET sent_at = sent_at - interval '1 h'")
            published = world.publish_events(*(world.event(person, EventKind.READ, 10 - minute) for person in people))
            done, _ = await asyncio.gather(restore(world), published)
            assert done.rows_swapped == 900
        await world.wait_for_applied(900 * 3)
    at = (START, START + timedelta(minutes=8), START + timedelta(minutes=8))
    assert await world.run("SELECT DISTINCT sent_at, delivered_at, read_at FROM campaign_recipients") == [at]
    assert await stats.recount(world.connection, world.campaign) == []
