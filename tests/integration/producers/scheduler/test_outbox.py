"""An operator's statement about a person reaches `subscription.events`, also after a failure in between."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from producers.scheduler import outbox, process
from producers.scheduler.outbox import Turn, publish_and_record_jobs, publish_subscriptions
from runtime.settings import Settings
from schemas.codec import decode
from schemas.places import Outgoing
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from schemas.topics import Topic
from tables.database import Connection
from tables.subscriptions import state_by_operator, unpublished
from tests.support.kafka_topics import create_topics, delete_topic, read_all, recreate_topic
from tests.support.waiting import eventually_async
from tests.support.world import World
from topics.memory import MemoryPublisher
from topics.publisher import PUBLISH_TIMEOUT_S, AsyncPublisher, PublishFailed

PERSON = "14694652751"
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)


class Failing(AsyncPublisher):
    """Delivers each batch and loses its acknowledgement."""

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        await super().publish_batch(records, timeout_s)
        raise PublishFailed("the acknowledgement got lost")


@pytest.fixture
def turn(connection: Connection) -> Turn:
    @asynccontextmanager
    async def lend() -> AsyncIterator[Connection]:
        yield connection

    return lend


@pytest.fixture
def settings(settings: Settings) -> Settings:
    create_topics(settings.kafka_bootstrap_servers, settings.topic(Topic.SUBSCRIPTION_EVENTS))
    return settings


async def _state(connection: Connection, *, subscribed: bool) -> None:
    await state_by_operator(connection, PERSON, subscribed=subscribed)


async def _published(settings: Settings) -> list[SubscriptionKind]:
    topic = settings.topic(Topic.SUBSCRIPTION_EVENTS)
    records = await asyncio.to_thread(read_all, settings.kafka_bootstrap_servers, topic)
    assert {record.key() for record in records} <= {PERSON.encode()}
    return [decode(SubscriptionEvent, record.value()).kind for record in records]


async def test_the_leader_publishes_each_statement_in_order(connection: Connection, settings: Settings) -> None:
    await _state(connection, subscribed=False)
    await _state(connection, subscribed=True)
    stop = asyncio.Event()
    leading = asyncio.create_task(process.run(settings, stop))
    try:
        await eventually_async(lambda: _is_published(connection))
        await _state(connection, subscribed=False)  # while it runs
        await eventually_async(lambda: _is_published(connection))
    finally:
        stop.set()
        await asyncio.wait_for(leading, 30)
    out, back = SubscriptionKind.OPTED_OUT, SubscriptionKind.OPTED_IN
    assert await _published(settings) == [out, back, out]


async def _is_published(connection: Connection) -> bool:
    return not await unpublished(connection, 10)


async def test_a_failed_publication_is_repeated_by_the_next_round(
    connection: Connection, settings: Settings, turn: Turn
) -> None:
    await _state(connection, subscribed=False)
    failing, publisher = Failing(settings), AsyncPublisher(settings)
    try:
        with pytest.raises(PublishFailed):
            await publish_subscriptions(turn, failing, settings, 10)
        assert await publish_subscriptions(turn, publisher, settings, 10) == 1
        assert await publish_subscriptions(turn, publisher, settings, 10) == 0
    finally:
        await failing.close()
        await publisher.close()
    assert await _published(settings) == [SubscriptionKind.OPTED_OUT] * 2  # a repetition is harmless, a loss is not


async def test_a_withdrawn_statement_is_not_published(connection: Connection) -> None:
    async with connection.transaction(force_rollback=True):
        await _state(connection, subscribed=False)
    assert await unpublished(connection, 10) == []


async def test_a_job_that_arrived_is_recorded_although_another_did_not(
    world: World, settings: Settings, turn: Turn
) -> None:
    jobs = await world.release_jobs(3)
    publisher = MemoryPublisher()

    async def lose_one(records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S) -> list[tuple[int, int]]:
        places = await MemoryPublisher.publish_batch(publisher, [records[0], records[2]], timeout_s)
        raise PublishFailed("a partition has no leader", {0: places[0], 2: places[1]})

    publisher.publish_batch = lose_one  # type: ignore[method-assign]
    with pytest.raises(PublishFailed):
        await publish_and_record_jobs(turn, publisher, settings, jobs, "topic")
    recorded = await world.run("SELECT recipient_id, job_offset FROM releases WHERE published_at IS NOT NULL")
    assert sorted(recorded) == sorted([(jobs[0].recipient_id, 0), (jobs[2].recipient_id, 1)])


async def test_the_id_of_the_jobs_topic_follows_a_recreation_and_outlasts_an_outage(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IDENTIFY_EVERY_S", 0.0)
    monkeypatch.setattr(outbox, "IDENTIFY_TIMEOUT_S", 10.0)
    name = settings.topic(Topic.SEND_JOBS)
    create_topics(settings.kafka_bootstrap_servers, name)
    jobs_topic = outbox.JobsTopic(settings)
    assert jobs_topic.id is None
    await jobs_topic.refresh()
    first = jobs_topic.id
    await asyncio.to_thread(recreate_topic, settings, name)
    await jobs_topic.refresh()
    second = jobs_topic.id
    assert len({None, first, second}) == 3
    await asyncio.to_thread(delete_topic, settings.kafka_bootstrap_servers, name)
    await jobs_topic.refresh()
    assert jobs_topic.id == second
