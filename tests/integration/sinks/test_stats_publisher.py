"""Snapshots: absolute, in one writer's order, and none lost between fold and acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from runtime.settings import Settings, read_settings
from schemas.codec import decode
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from sinks import stats_publisher
from sinks.stats_publisher import publish_once
from tables import stats
from tables.database import Connection, connect
from tests.support.campaign_rows import add_campaign, add_recipients
from tests.support.kafka_topics import create_topics, read_all
from tests.support.waiting import eventually_async
from topics.snapshots import PublisherFenced, SnapshotPublisher


@pytest.fixture
def publisher_settings(kafka: str, database_url: str, topic_prefix: str) -> Settings:
    create_topics(kafka, f"{topic_prefix}campaign.stats", partitions=1)
    return read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
    })  # fmt: skip


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await connect(database_url, application_name="test") as opened:
        yield opened


def published(settings: Settings, campaign: CampaignId) -> list[CampaignStats]:
    topic = settings.topic("campaign.stats")
    found = [decode(CampaignStats, m.value()) for m in read_all(settings.kafka_bootstrap_servers, topic)]
    return [snapshot for snapshot in found if snapshot.campaign_id == campaign]


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SnapshotPublisher]:
    publisher = SnapshotPublisher(settings)
    await publisher.open()
    yield publisher
    await publisher.close()


async def test_two_publishers_publish_each_change_once(publisher_settings: Settings, connection: Connection) -> None:
    campaign = await add_campaign(connection)
    stop = asyncio.Event()
    both = [asyncio.create_task(stats_publisher.run(publisher_settings, stop)) for _ in range(2)]
    for _ in range(3):
        await add_recipients_with_other_numbers(connection, campaign)
        await eventually_async(lambda: _all_published(connection))
    await connection.execute(
        "UPDATE marketing_campaigns SET status = 'paused', pause_reason = 'by hand' WHERE id = %s", [campaign]
    )
    await eventually_async(lambda: _is_told(connection, "paused"))
    stop.set()
    await asyncio.gather(*both)
    told = published(publisher_settings, campaign)
    assert [snapshot.version for snapshot in told] == sorted({snapshot.version for snapshot in told})
    assert (told[-1].total_target, told[-1].pending, told[-1].status) == (6, 6, "paused")


async def add_recipients_with_other_numbers(connection: Connection, campaign: CampaignId) -> None:
    await connection.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone_number)"
        " SELECT %s, (15550000000 + random() * 1e9)::bigint::text FROM generate_series(1, 2)",
        [campaign],
    )


async def _all_published(connection: Connection) -> bool:
    row = await (await connection.execute(
        "SELECT NOT EXISTS (SELECT FROM campaign_counter_deltas) AND bool_and(version = published_version)"
        " FROM campaign_stats")).fetchone()  # fmt: skip
    return bool(row and row[0])


async def _is_told(connection: Connection, status: str) -> bool:
    row = await (await connection.execute(
        "SELECT bool_and(campaign_status = %s AND version = published_version) FROM campaign_stats", [status]
    )).fetchone()  # fmt: skip
    return bool(row and row[0])


async def test_a_publisher_killed_after_its_fold_is_made_good(
    publisher_settings: Settings, connection: Connection
) -> None:
    campaign = await add_campaign(connection)
    await add_recipients(connection, campaign, 5)
    await stats.fold(connection)  # and then it died
    async with opened(publisher_settings) as next_one:
        assert await publish_once(connection, next_one) == 1
        assert await publish_once(connection, next_one) == 0
    assert [(s.version, s.total_target) for s in published(publisher_settings, campaign)] == [(1, 5)]


async def test_an_older_publisher_is_silenced(publisher_settings: Settings, connection: Connection) -> None:
    campaign = await add_campaign(connection)
    await stats.fold(connection)
    async with opened(publisher_settings) as older, opened(publisher_settings) as newer:
        snapshots = await stats.read_unpublished(connection, 10)
        await newer.publish(snapshots)
        with pytest.raises(PublisherFenced):
            await older.publish(snapshots)
    assert len(published(publisher_settings, campaign)) == 1


async def test_the_answer_is_exact_before_any_fold(connection: Connection) -> None:
    campaign = await add_campaign(connection)
    people = await add_recipients(connection, campaign, 4)
    await stats.fold(connection)
    await connection.execute("DELETE FROM campaign_recipients WHERE id = %s", [people[0]])
    told = (await stats.read(connection, [campaign]))[campaign]
    assert (told.total_target, told.pending, told.version) == (3, 3, 1)
