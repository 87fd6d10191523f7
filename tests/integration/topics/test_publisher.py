"""The contract of both publishers (Kafka and memory), and the properties of the Kafka publisher."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from random import Random

import pytest
from confluent_kafka import KafkaError

from runtime.settings import Settings
from schemas.places import Outgoing
from schemas.topics import TopicSpec
from tests.support.kafka_topics import read_all, value_of
from topics.apply import apply
from topics.memory import MemoryPublisher
from topics.publisher import AsyncPublisher, Publisher, PublishFailed, RecordTooLarge

SPEC = TopicSpec("some", 3, 60_000)


@pytest.fixture
def settings(kafka: str, topic_prefix: str) -> Settings:
    made = Settings.model_validate(
        {"kafka_bootstrap_servers": kafka, "database_url": "postgresql://x", "topic_prefix": topic_prefix}
    )
    apply(made, [SPEC])
    return made


@pytest.fixture
async def publisher(settings: Settings) -> AsyncIterator[AsyncPublisher]:
    made = AsyncPublisher(settings)
    yield made
    assert await made.close() == 0


@dataclass(frozen=True)
class Kind:
    """One kind of publisher, and a view of the records that it published: place to value."""

    publisher: Publisher
    topic: str
    stored: Callable[[], dict[tuple[int, int], bytes]]


class Placed(MemoryPublisher):
    """Records the place of each record."""

    def __init__(self) -> None:
        super().__init__([SPEC])
        self.stored: dict[tuple[int, int], bytes] = {}

    def _append(self, record: Outgoing) -> tuple[int, int]:
        place = super()._append(record)
        self.stored[place] = record.value or b""
        return place


@pytest.fixture(params=["kafka", "memory"])
def kind(request: pytest.FixtureRequest) -> Kind:
    if request.param == "memory":
        placed = Placed()
        return Kind(placed, SPEC.name, lambda: placed.stored)
    settings: Settings = request.getfixturevalue("settings")
    topic = settings.topic(SPEC.name)

    def stored() -> dict[tuple[int, int], bytes]:
        records = read_all(settings.kafka_bootstrap_servers, topic)
        return {(record.partition() or 0, record.offset() or 0): value_of(record) for record in records}

    return Kind(request.getfixturevalue("publisher"), topic, stored)


async def test_a_batch_returns_the_places_of_its_records_in_order(kind: Kind) -> None:
    wanted = [f"{number}".encode() for number in range(2000)]
    batch = [Outgoing(kind.topic, value, value, [("n", value)]) for value in wanted]
    places = await kind.publisher.publish_batch(batch)
    stored = kind.stored()
    assert [stored[place] for place in places] == wanted
    assert {partition for partition, _ in places} == {0, 1, 2}


async def test_records_of_one_key_share_a_partition_in_order(kind: Kind) -> None:
    places = await kind.publisher.publish_batch([Outgoing(kind.topic, b"key", b"%d" % n) for n in range(5)])
    assert {partition for partition, _ in places} == {places[0][0]}
    assert [offset for _, offset in places] == list(range(5))


async def test_an_empty_batch_returns_at_once(kind: Kind) -> None:
    assert await kind.publisher.publish_batch([], timeout_s=0) == []


async def test_a_record_that_is_too_large_is_named_and_the_others_are_published(kind: Kind) -> None:
    for_the_broker, for_the_client = Random(1).randbytes(2_000_000), b"x" * 5_000_000
    records = [Outgoing(kind.topic, None, value) for value in (b"a", for_the_broker, b"b", for_the_client)]
    with pytest.raises(RecordTooLarge) as refused:
        await kind.publisher.publish_batch(records)
    assert refused.value.indices == [1, 3]
    assert set(kind.stored().values()) == {b"a", b"b"}


async def test_without_places_the_same_is_published_and_refused(kind: Kind) -> None:
    for_the_broker, for_the_client = Random(1).randbytes(2_000_000), b"x" * 5_000_000
    records = [Outgoing(kind.topic, b"k", value) for value in (b"a", for_the_broker, b"b", for_the_client, b"c")]
    await kind.publisher.publish_all([])
    with pytest.raises(RecordTooLarge) as refused:
        await kind.publisher.publish_all(records)
    assert refused.value.indices == [1, 3]
    await kind.publisher.publish_all(records[:1])
    assert sorted(kind.stored().values()) == [b"a", b"a", b"b", b"c"]


async def test_reachable_means_that_the_topic_is_known(kind: Kind) -> None:
    assert await kind.publisher.is_reachable(kind.topic)
    assert not await kind.publisher.is_reachable(kind.topic + "other")


async def test_nothing_is_left_after_a_flush(kind: Kind) -> None:
    await kind.publisher.publish_batch([Outgoing(kind.topic, None, b"x")])
    assert await kind.publisher.flush() == 0


@pytest.fixture(params=["kafka", "memory"])
async def unreachable(request: pytest.FixtureRequest) -> AsyncIterator[Publisher]:
    if request.param == "memory":
        memory = MemoryPublisher([SPEC])
        memory.is_down = True
        yield memory
        return
    values = {"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": "postgresql://x"}
    real = AsyncPublisher(Settings.model_validate(values), message_timeout_ms=500)
    yield real
    assert await real.close(1) == 0


async def test_without_a_broker_publishing_fails_in_time(unreachable: Publisher) -> None:
    with pytest.raises(PublishFailed):
        await unreachable.publish_batch([Outgoing("some", None, b"x")], timeout_s=5)
    with pytest.raises(PublishFailed):
        await unreachable.publish_all([Outgoing("some", None, b"x")], timeout_s=5)
    assert not await unreachable.is_reachable("some", timeout_s=0.5)


async def test_only_a_fatal_error_ends_the_publisher(settings: Settings, publisher: AsyncPublisher) -> None:
    topic = settings.topic("some")
    await publisher.publish_batch([Outgoing(topic, None, b"before")])
    raised = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True)
    publisher._on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    await asyncio.sleep(0)
    assert not publisher.fatal.is_set()
    publisher._on_error(raised)
    await asyncio.wait_for(publisher.fatal.wait(), 5)
