"""Creates, deletes, fills and reads the topics of a test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from runtime.settings import Settings
from schemas.topics import Topic
from tests.support.waiting import DEADLINE_S, eventually
from topics.apply import apply
from topics.lag import KafkaQueries


def create_topics(bootstrap: str, *names: str, partitions: int = 4) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        created.result(DEADLINE_S)
    eventually(
        lambda: set(names) <= set(admin.list_topics(timeout=DEADLINE_S).topics), "the topics are listed", every_s=0.01
    )


def create_all_topics(settings: Settings) -> None:
    """Create every topic of an installation, as `campaigns topics apply` does."""
    apply(settings)
    wait_for_leaders(settings, *(settings.topic(topic) for topic in Topic))


def wait_for_leaders(settings: Settings, *names: str) -> None:
    """Return when each topic has a leader. A new topic may have none yet, and a process would end and restart."""
    with KafkaQueries(settings, timeout_s=DEADLINE_S) as broker:
        for name in names:
            broker.watermarks(name)


def recreate_topic(settings: Settings, name: str) -> None:
    """Delete a topic and create another one of the same name, which a broker refuses for a moment."""
    bootstrap = settings.kafka_bootstrap_servers

    def is_created() -> bool:
        try:
            create_topics(bootstrap, name)
        except KafkaException:
            return False
        return True

    delete_topic(bootstrap, name)
    eventually(is_created, "the topic is created again")
    wait_for_leaders(settings, name)


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic, and wait until the broker does not list it. Before that, clients may get the old topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([name])[name].result(DEADLINE_S)
    eventually(lambda: name not in admin.list_topics(timeout=DEADLINE_S).topics, "the topic is gone", every_s=0.01)


def delete_records(bootstrap: str, name: str, ends: dict[int, int]) -> None:
    """Delete the records of each partition before this offset, as retention does."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for deleted in admin.delete_records([TopicPartition(name, p, end) for p, end in ends.items()]).values():
        deleted.result(DEADLINE_S)


def put(bootstrap: str, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all"})
    for key, value in records:
        producer.produce(topic, key=key, value=value)
        producer.poll(0)
    assert producer.flush(DEADLINE_S) == 0


def read_all(bootstrap: str, topic: str) -> list[Message]:
    """Every committed record that the topic has now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "test-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # the end of an empty partition is known only after this time
        }
    )
    partitions = [TopicPartition(topic, p, 0) for p in consumer.list_topics(topic, 10).topics[topic].partitions]
    consumer.assign(partitions)
    ended = 0
    found: list[Message] = []
    deadline = time.monotonic() + DEADLINE_S
    while ended < len(partitions) and time.monotonic() < deadline:
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error() is None:
            found.append(message)
        else:
            ended += 1
    consumer.close()
    return found


def read_until(
    kafka: str, topic: str, enough: Callable[[list[Message]], bool], deadline_s: float = 30.0
) -> list[Message]:
    """All records of a topic. Waits until there are enough, and fails at the deadline."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "test-reader", "enable.auto.commit": False})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found: list[Message] = []
        end = time.monotonic() + deadline_s
        while not enough(found):
            assert time.monotonic() < end, f"only {len(found)} records in {topic} after {deadline_s:.0f} s"
            found += [message for message in consumer.consume(500, 0.05) if message.error() is None]
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


def shares_of(kafka: str, group: str) -> dict[str, int]:
    """The number of partitions of each member of a group, by the stable name of the member.

    A group that was never joined has no coordinator, and no member.
    """
    admin = AdminClient({"bootstrap.servers": kafka})
    try:
        described = admin.describe_consumer_groups([group])[group].result(DEADLINE_S)
    except KafkaException:
        return {}
    return {member.group_instance_id: len(member.assignment.topic_partitions) for member in described.members}
