"""The reader of live pages on a real broker: recent snapshots, then each committed one; an outage is transient."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr

from domain.stats import campaign_stats
from runtime.process import Transient
from runtime.settings import Settings
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from schemas.topics import Topic
from tests.support.kafka_topics import create_topics
from tests.support.shown_campaigns import NOW
from tests.support.waiting import DEADLINE_S, eventually
from topics import stats_reader
from topics.lag import KafkaQueries
from topics.snapshots import SnapshotPublisher
from topics.stats_reader import StatsNews, StatsReader


def _snapshot(version: int) -> CampaignStats:
    return campaign_stats(CampaignId(uuid4()), "Sale", "active", {}, version=version, as_of=NOW)


async def _next(reader: StatsReader) -> StatsNews:
    async with asyncio.timeout(20):
        while True:
            news = await reader.take()
            if news.snapshots or news.deleted:
                return news


async def test_a_reader_begins_with_the_recent_and_follows(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_reader, "RECENT_RECORDS", 3)  # a transaction has a mark of its own
    topic = topic_prefix + Topic.CAMPAIGN_STATS
    create_topics(kafka, topic, partitions=1)
    settings = Settings(
        kafka_bootstrap_servers=kafka, topic_prefix=topic_prefix, database_url=SecretStr("postgresql://x")
    )
    publisher, reader = SnapshotPublisher(settings), StatsReader(settings)
    await publisher.open()
    try:
        old, recent, later = _snapshot(1), _snapshot(2), _snapshot(3)
        for each in (old, recent):
            await publisher.publish([each])
        with KafkaQueries(settings, timeout_s=DEADLINE_S) as broker:  # the mark of a transaction follows its commit
            eventually(lambda: broker.watermarks(topic)[0][1] == 4, "both transactions have their marks")
        await reader.open()
        assert (await _next(reader)).snapshots == (recent,)
        await publisher.publish([later])
        assert (await _next(reader)).snapshots == (later,)
        await publisher.delete([later.campaign_id])
        assert (await _next(reader)).deleted == (later.campaign_id,)
    finally:
        await reader.close()
        await publisher.close()


async def test_a_missing_broker_is_transient(topic_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats_reader, "TIMEOUT_S", 0.3)
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1", topic_prefix=topic_prefix, database_url=SecretStr("postgresql://x")
    )
    reader = StatsReader(settings)
    try:
        with pytest.raises(Transient, match=r"campaign\.stats"):
            await reader.open()
    finally:
        await reader.close()
