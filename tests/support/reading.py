"""Reading a topic from its beginning, as a test does."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, Message, TopicPartition


def read_until(
    kafka: str, topic: str, enough: Callable[[list[Message]], bool], deadline_s: float = 30.0
) -> list[Message]:
    """All records of a topic, read until there are enough; fails at the deadline."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test-reader", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: list[Message] = []
        end = time.monotonic() + deadline_s
        while not enough(found):
            assert time.monotonic() < end, f"only {len(found)} records in {topic} after {deadline_s:.0f} s"
            found += [message for message in consumer.consume(500, 0.2) if message.error() is None]
        return found
    finally:
        consumer.close()


def value_of(message: Message) -> bytes:
    value = message.value()
    assert value is not None
    return value


def committed_lag(kafka: str, group: str, topic: str) -> int:
    """How many records of a topic the group has not committed."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group, "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        places = consumer.committed([TopicPartition(topic, partition) for partition in partitions], timeout=10)
        ends = [consumer.get_watermark_offsets(place, timeout=10) for place in places]
        return sum(end - max(place.offset, low) for place, (low, end) in zip(places, ends, strict=True))
    finally:
        consumer.close()


def read_all(kafka: str, topic: str) -> list[Message]:
    """All records that are in the topic now."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test-reader", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10) for partition in partitions
        ]
    finally:
        consumer.close()
    count = sum(end - low for low, end in ends)
    return read_until(kafka, topic, lambda found: len(found) >= count)
