"""How far a contestant is: the number of records that it has applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.failures import FailureKind
from runtime.settings import Settings
from schemas.topics import Topic
from topics.errors import failure_kind

COMMITTED_S = 10.0
Connected = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class SinkPlace:
    """Where a contestant runs: its settings, a connection to its database, and the log of its process."""

    settings: Settings
    connection: Connected
    log: Path

    @property
    def topic(self) -> str:
        """The full name of the topic of events."""
        return self.settings.topic(Topic.RECIPIENT_EVENTS)

    @property
    def database_url(self) -> str:
        """The address of the database, with its password."""
        return self.settings.database_url.get_secret_value()


@contextmanager
def stored(place: SinkPlace) -> Iterator[Callable[[], int]]:
    """By the offsets that the product writes in the transaction of the rows."""

    def count() -> int:
        row = place.connection.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM sink_offsets WHERE topic = %s", [place.topic]
        ).fetchone()
        return int(row[0]) if row else 0

    yield count


def sharing(place: SinkPlace, group: str) -> Callable[[], int]:
    """Returns a function: how many members of a group have partitions now, and 0 while they are given to others."""
    admin = AdminClient({"bootstrap.servers": place.settings.kafka_bootstrap_servers})

    def count() -> int:
        found = admin.describe_consumer_groups([group], request_timeout=COMMITTED_S)[group].result()
        is_stable = found.state is ConsumerGroupState.STABLE
        return sum(bool(member.assignment.topic_partitions) for member in found.members) if is_stable else 0

    return count


@contextmanager
def printed(place: SinkPlace) -> Iterator[Callable[[], int]]:
    """By the last number that the process printed after a commit."""

    def count() -> int:
        lines = place.log.read_text(encoding="utf-8", errors="replace").splitlines() if place.log.exists() else []
        return next((int(line) for line in reversed(lines) if line.isdigit()), 0)

    yield count


@contextmanager
def committed(place: SinkPlace, group: str) -> Iterator[Callable[[], int]]:
    """By the offsets that a consumer group has committed after its rows."""
    consumer = Consumer({"bootstrap.servers": place.settings.kafka_bootstrap_servers, "group.id": group})
    try:
        found = consumer.list_topics(place.topic, COMMITTED_S).topics[place.topic].partitions
        partitions = [TopicPartition(place.topic, number) for number in found]

        def count() -> int:
            try:
                return sum(max(0, each.offset) for each in consumer.committed(partitions, COMMITTED_S))
            except KafkaException as error:
                if failure_kind(error) is not FailureKind.TRANSIENT:
                    raise
                return 0  # the group is not known yet, or the broker is busy: the caller counts again

        yield count
    finally:
        consumer.close()
