"""The publisher: an `await` that returns means acknowledged, and every other end is said."""

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from confluent_kafka import KafkaError

from runtime.settings import Settings
from schemas.topics import TopicSpec
from tests.integration.reading import read_all, value_of
from topics.apply import apply
from topics.publisher import AsyncPublisher, PublishFailed, RecordTooLarge


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    made = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(made, [TopicSpec("some", 3, 60_000)])
    return made


@pytest.fixture
async def publisher(settings: Settings) -> AsyncIterator[AsyncPublisher]:
    made = AsyncPublisher(settings)
    yield made
    assert await made.close() == 0


async def test_a_batch_returns_the_places_of_its_records_in_order(
    settings: Settings, publisher: AsyncPublisher
) -> None:
    topic = settings.topic("some")
    wanted = [f"{number}".encode() for number in range(2000)]
    places = await publisher.publish_batch([(topic, value, value, [("n", value)]) for value in wanted])
    stored = {
        (record.partition(), record.offset()): value_of(record)
        for record in read_all(settings.kafka_bootstrap_servers, topic)
    }
    assert [stored[place] for place in places] == wanted


async def test_an_empty_batch_returns_at_once(publisher: AsyncPublisher) -> None:
    assert await publisher.publish_batch([], timeout_s=0) == []


async def test_what_is_too_large_is_named_and_the_others_are_published(
    settings: Settings, publisher: AsyncPublisher
) -> None:
    topic = settings.topic("some")
    for_the_broker, for_the_client = Random(1).randbytes(2_000_000), b"x" * 5_000_000
    records = [(topic, None, value, None) for value in (b"a", for_the_broker, b"b", for_the_client)]
    with pytest.raises(RecordTooLarge) as refused:
        await publisher.publish_batch(records)
    assert refused.value.indices == [1, 3]
    stored = {value_of(record) for record in read_all(settings.kafka_bootstrap_servers, topic)}
    assert stored == {b"a", b"b"}


async def test_without_a_broker_it_fails_in_time(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    publisher = AsyncPublisher(nowhere, message_timeout_ms=500)
    with pytest.raises(PublishFailed):
        await publisher.publish_batch([("some", None, b"x", None)], timeout_s=5)
    assert not await publisher.is_reachable("some", timeout_s=0.5)
    assert await publisher.close(1) == 0


async def test_reachable_means_that_the_topic_is_known(settings: Settings, publisher: AsyncPublisher) -> None:
    assert await publisher.is_reachable(settings.topic("some"))
    assert not await publisher.is_reachable(settings.topic("other"))


async def test_only_a_fatal_error_ends_the_publisher(settings: Settings, publisher: AsyncPublisher) -> None:
    topic = settings.topic("some")
    await publisher.publish_batch([(topic, None, b"before", None)])
    raised = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True)
    publisher._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    await asyncio.sleep(0)
    assert not publisher.fatal.is_set()
    publisher._on_error(raised)
    await asyncio.wait_for(publisher.fatal.wait(), 5)
