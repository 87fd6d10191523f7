"""The ends of the partitions are those that a single query for each of them finds."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException

from runtime.settings import Settings
from schemas.places import Outgoing
from schemas.topics import TopicSpec
from tests.support.waiting import eventually
from topics.apply import apply
from topics.clients import observer_config
from topics.errors import is_missing_topic
from topics.publisher import AsyncPublisher
from topics.watermarks import read_watermarks

SPEC = TopicSpec("some", 3, 60_000)
TIMEOUT_S = 10.0


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    made = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(made, [SPEC])
    return made


def are_led(consumer: Consumer, topic: str) -> bool:
    try:
        return len(read_watermarks(consumer, topic, range(3), TIMEOUT_S)) == 3
    except KafkaException:
        return False


@pytest.fixture
def consumer(settings: Settings) -> Iterator[Consumer]:
    made = Consumer(observer_config(settings, "watermarks"))
    eventually(lambda: are_led(made, settings.topic(SPEC.name)), "every partition of the new topic has its leader")
    yield made
    made.close()


async def test_each_partition_has_its_own_ends(settings: Settings, consumer: Consumer) -> None:
    topic = settings.topic(SPEC.name)
    publisher = AsyncPublisher(settings)
    try:
        places = await publisher.publish_batch([Outgoing(topic, b"one key", b"value")] * 5)
    finally:
        await publisher.close()
    filled = places[0][0]
    assert read_watermarks(consumer, topic, range(3), TIMEOUT_S) == {p: (0, 5 if p == filled else 0) for p in range(3)}


def test_a_partition_that_does_not_exist_is_an_error(settings: Settings, consumer: Consumer) -> None:
    with pytest.raises(KafkaException) as raised:
        read_watermarks(consumer, settings.topic(SPEC.name), [0, 7], TIMEOUT_S)
    assert is_missing_topic(raised.value)


def test_no_partition_needs_no_query(consumer: Consumer) -> None:
    assert read_watermarks(consumer, "there-is-no-such-topic", [], TIMEOUT_S) == {}
