"""Topics of a test's own, what is put in, and what comes out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

DEADLINE_S = 30.0


def create_topics(bootstrap: str, *names: str, partitions: int = 4) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
        made.result(DEADLINE_S)
    _wait_until(lambda: set(names) <= set(admin.list_topics(timeout=DEADLINE_S).topics))


def delete_topic(bootstrap: str, name: str) -> None:
    """Return when it is gone: else who asks right after it is made anew may still be told of the old one."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.delete_topics([name])[name].result(DEADLINE_S)
    _wait_until(lambda: name not in admin.list_topics(timeout=DEADLINE_S).topics)


def delete_records(bootstrap: str, name: str, ends: dict[int, int]) -> None:
    """As retention does: of each partition what is before this offset."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.delete_records([TopicPartition(name, p, end) for p, end in ends.items()]).values():
        made.result(DEADLINE_S)


def put(bootstrap: str, topic: str, records: Iterable[tuple[bytes | None, bytes]]) -> None:
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


def _wait_until(holds: Callable[[], bool]) -> None:
    """The broker that we ask learns what was decided later than the one that decided it."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s"
        time.sleep(0.01)


async def eventually(holds: Callable[[], Awaitable[bool]], deadline_s: float = DEADLINE_S) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + deadline_s
    while not await holds():
        assert time.monotonic() < deadline, f"{holds} did not hold within {deadline_s} s"
        await asyncio.sleep(0.05)
