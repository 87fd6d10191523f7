"""Snapshots: absolute, in one writer's order, and none lost between fold and acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from runtime.settings import Settings
from schemas.codec import decode
from schemas.model import CampaignId, RecipientId
from schemas.stats import CampaignStats, snapshot_key
from schemas.timeline import CampaignMinute
from schemas.topics import Topic
from sinks import stats_publisher
from sinks.stats_publisher import delete_once, publish_minutes_once, publish_once
from tables import drafts, stats
from tests.support.kafka_topics import create_topics, read_all, value_of
from tests.support.world import World
from topics.snapshots import PublisherFenced, SnapshotPublisher


@pytest.fixture
def settings(settings: Settings) -> Settings:
    names = (settings.topic(Topic.CAMPAIGN_STATS), settings.topic(Topic.CAMPAIGN_TIMELINE))
    create_topics(settings.kafka_bootstrap_servers, *names, partitions=1)
    return settings


ALL_PUBLISHED = (
    "SELECT NOT EXISTS (SELECT FROM campaign_counter_deltas) AND bool_and(version = published_version)"
    " FROM campaign_stats"
)
STATUS_PUBLISHED = "SELECT bool_and(campaign_status = %s AND version = published_version) FROM campaign_stats"


def published(settings: Settings, campaign: CampaignId) -> list[CampaignStats]:
    topic = settings.topic("campaign.stats")
    found = [decode(CampaignStats, m.value()) for m in read_all(settings.kafka_bootstrap_servers, topic)]
    return [snapshot for snapshot in found if snapshot.campaign_id == campaign]


def minutes(settings: Settings) -> list[CampaignMinute]:
    topic = settings.topic(Topic.CAMPAIGN_TIMELINE)
    return [decode(CampaignMinute, value_of(m)) for m in read_all(settings.kafka_bootstrap_servers, topic)]


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SnapshotPublisher]:
    publisher = SnapshotPublisher(settings)
    await publisher.open()
    yield publisher
    await publisher.close()


async def test_two_publishers_publish_each_change_once(world: World, settings: Settings) -> None:
    stop = asyncio.Event()
    both = [asyncio.create_task(stats_publisher.run(settings, stop)) for _ in range(2)]
    for _ in range(3):
        await world.add_recipients(2)
        await world.wait_for_value(True, ALL_PUBLISHED)
    await world.set_campaign_status("paused")
    await world.wait_for_value(True, STATUS_PUBLISHED, "paused")
    stop.set()
    await asyncio.gather(*both)
    snapshots = published(settings, world.campaign)
    assert [snapshot.version for snapshot in snapshots] == sorted({snapshot.version for snapshot in snapshots})
    assert (snapshots[-1].total_target, snapshots[-1].pending, snapshots[-1].status) == (6, 6, "paused")


async def test_a_publisher_killed_after_its_fold_is_made_good(world: World, settings: Settings) -> None:
    await world.add_recipients(5)
    await stats.fold(world.connection)  # and then it died
    async with opened(settings) as next_one:
        assert await publish_once(world.connection, next_one) == 1
        assert await publish_once(world.connection, next_one) == 0
    assert [(s.version, s.total_target) for s in published(settings, world.campaign)] == [(1, 5)]


async def test_a_snapshot_that_is_too_large_stops_no_other(world: World, settings: Settings) -> None:
    connection, large, others = world.connection, world.campaign, [await world.add_campaign() for _ in range(2)]
    await _rename(world, 2_000_000)
    await stats.fold(connection)
    async with opened(settings) as publisher:
        await publish_once(connection, publisher)
        assert [len(published(settings, each)) for each in (large, *others)] == [0, 1, 1]
        assert await publish_once(connection, publisher) == 0, "the refused one is not tried again and again"
        await _rename(world, 10)
        await stats.fold(connection)
        assert await publish_once(connection, publisher) == 1
    assert [each.campaign_name for each in published(settings, large)] == ["x" * 10]


async def test_the_snapshot_of_a_deleted_draft_is_deleted_from_the_topic(world: World, settings: Settings) -> None:
    connection, kept = world.connection, world.campaign
    draft = await world.create_campaign(3)
    await stats.fold(connection)
    async with opened(settings) as publisher:
        assert await publish_once(connection, publisher) == 2
        assert await delete_once(connection, publisher) == 0
        await drafts.delete(connection, draft)
        await publisher.delete([draft])  # and then it died, before it could forget the campaign
    async with opened(settings) as next_one:
        assert await publish_once(connection, next_one) == 0
        assert await delete_once(connection, next_one) == 1
        assert await delete_once(connection, next_one) == 0
    records = read_all(settings.kafka_bootstrap_servers, settings.topic("campaign.stats"))
    values = [m.value() for m in records if m.key() == snapshot_key(draft)]
    assert [value is None for value in values] == [False, True, True]
    assert [m.value() is None for m in records if m.key() == snapshot_key(kept)] == [False]


async def test_a_running_publisher_deletes_snapshots(world: World, settings: Settings) -> None:
    draft, stop = await world.create_campaign(1), asyncio.Event()
    running = asyncio.create_task(stats_publisher.run(settings, stop))
    await world.wait_for_value(True, ALL_PUBLISHED)
    await drafts.delete(world.connection, draft)
    await world.wait_for_value(0, "SELECT count(*) FROM deleted_snapshots")
    stop.set()
    await running
    records = read_all(settings.kafka_bootstrap_servers, settings.topic("campaign.stats"))
    assert [m.value() for m in records if m.key() == snapshot_key(draft)][-1] is None


async def test_each_minute_is_published_and_a_late_change_is_a_higher_version(world: World, settings: Settings) -> None:
    people = await world.add_recipients(3)
    sent, delivered, replied = (
        f"UPDATE campaign_recipients SET {column} = now() WHERE id = ANY(%s)"
        for column in ("sent_at", "delivered_at", "replied_at")
    )
    early, later = "2026-03-01T12:00:30Z", "2026-03-01T12:01:00Z"

    async def count(at: str, sql: str, ids: list[RecipientId]) -> None:
        await world.run(sql, ids)
        await world.run("UPDATE campaign_counter_deltas SET counted_at = %s", at)
        await stats.fold(world.connection)

    async with opened(settings) as publisher:
        await count(early, sent, people)
        assert await publish_minutes_once(world.connection, publisher) == 1
        assert await publish_minutes_once(world.connection, publisher) == 0, "nothing is new"
        await count(later, delivered, people[:2])
        await count(later, replied, people[:1])
        await count(early, delivered, people[2:])
        unmarked = await stats.read_unpublished_minutes(world.connection, 10)
        await publisher.publish_minutes(unmarked)  # and then it died, before it could mark them
    async with opened(settings) as next_one:
        assert await publish_minutes_once(world.connection, next_one) == 2
    records = minutes(settings)
    latest = {each.key: each for each in sorted(records, key=lambda each: each.version)}
    assert sorted((each.minute.minute, each.version) for each in records) == [(0, 1), (0, 2), (0, 2), (1, 2), (1, 2)]
    assert sorted((each.sent, each.delivered, each.replied) for each in latest.values()) == [(0, 2, 1), (3, 1, 0)]


async def test_a_running_publisher_publishes_minutes(world: World, settings: Settings) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(stats_publisher.run(settings, stop))
    people = await world.add_recipients(2)
    await world.run("UPDATE campaign_recipients SET sent_at = now() WHERE id = ANY(%s)", people)
    await world.wait_for_value(2, "SELECT sum(sent)::int FROM campaign_timeline WHERE version = published_version")
    stop.set()
    await running
    assert sum(each.sent for each in {each.key: each for each in minutes(settings)}.values()) == 2


async def _rename(world: World, length: int) -> None:
    await world.run("UPDATE marketing_campaigns SET name = repeat('x', %s) WHERE id = %s", length, world.campaign)


async def test_an_older_publisher_is_silenced(world: World, settings: Settings) -> None:
    await stats.fold(world.connection)
    async with opened(settings) as older, opened(settings) as newer:
        snapshots = await stats.read_unpublished(world.connection, 10)
        await newer.publish(snapshots)
        with pytest.raises(PublisherFenced):
            await older.publish(snapshots)
    assert len(published(settings, world.campaign)) == 1


async def test_the_answer_is_exact_before_any_fold(world: World) -> None:
    people = await world.add_recipients(4)
    await stats.fold(world.connection)
    await world.run("DELETE FROM campaign_recipients WHERE id = %s", people[0])
    totals = (await stats.read(world.connection, [world.campaign]))[world.campaign]
    assert (totals.total_target, totals.pending, totals.version) == (3, 3, 1)
