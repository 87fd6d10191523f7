"""Reads from Kafka how far behind each stage is, how many members it has, and how old its oldest waiting record is.

It joins no group and commits nothing. The calls of `KafkaQueries` block, so call them from a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Self, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Watermarks
from topics.clients import client_config, consumer_config, observer_config
from topics.errors import error_of, is_not_ready
from topics.watermarks import read_watermarks

TIMEOUT_S = 5.0
"""Limit of each query. An operator waits for the answer."""

RETRY_S = 0.1
T = TypeVar("T")

PartitionKey = tuple[str, int]
"""A topic by its real name, and a partition."""


class KafkaAway(Transient):
    """Kafka did not answer in time."""

    def __init__(self, reason: str, *, will_pass: bool = False) -> None:
        super().__init__(f"Kafka: {reason}")
        self.will_pass = will_pass


@dataclass(frozen=True, slots=True)
class Lag:
    """The records that one stage has not processed yet."""

    records: int
    oldest_at: datetime | None = None
    """When the oldest of them was written."""
    statuses: int | None = None
    """How many statuses the records of a topic of bundles hold; an estimate from the first ones if they are many."""


class KafkaQueries:
    """Queries to Kafka. Each raises KafkaAway if Kafka does not answer."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        self._settings = settings
        self._timeout_s = TIMEOUT_S if timeout_s is None else timeout_s
        self._admin = AdminClient(client_config(settings))
        self._consumer = Consumer(consumer_config(settings, "look"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def watermarks(self, topic: str) -> Watermarks:
        """Low and high watermark of every partition; empty if there is no such topic."""
        return self._query(lambda: self._watermarks(topic))

    def committed(self, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The committed offset of each partition that has one; `group` without prefix."""
        places = [_at(topic, p) for p in partitions]
        return self._query(lambda: self._committed(group, places)) if places else {}

    def members(self, groups: Iterable[str]) -> dict[str, int]:
        """How many members each group has; 0 for a group that does not exist."""
        return {group: self._query(partial(self._members, self._settings.group(group))) for group in groups}

    def lag(self, topic: str, passed: Mapping[int, int], watermarks: Watermarks | None = None) -> Lag:
        """The lag between the passed offsets and the end. A partition without an offset counts from its beginning."""
        known = self.watermarks(topic) if watermarks is None else watermarks
        waiting = {p: max(low, passed.get(p, low)) for p, (low, high) in known.items()}
        waiting = {p: offset for p, offset in waiting.items() if offset < known[p][1]}
        records = sum(known[p][1] - offset for p, offset in waiting.items())
        times = self.times_at({(topic, p): offset for p, offset in waiting.items()})
        return Lag(records, min(times.values(), default=None))

    def times_at(self, offsets: Mapping[PartitionKey, int]) -> dict[PartitionKey, datetime]:
        """When the record at each offset, or the first one after it, was written. Raises KafkaAway."""
        if not offsets:
            return {}
        found: dict[PartitionKey, datetime] = {}
        deadline = time.monotonic() + self._timeout_s
        with _kafka_errors():
            self._consumer.assign([TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items()])
            while len(found) < len(offsets) and time.monotonic() < deadline:
                message = self._consumer.poll(0.2)
                if message is None or message.error() is not None:
                    continue
                place = (message.topic() or "", message.partition() or 0)
                if place not in found:
                    found[place] = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
                    self._consumer.pause([_at(*place)])
            self._consumer.resume([_at(*place) for place in found])  # a pause would survive the assignment
            self._consumer.unassign()
        if len(found) < len(offsets):
            raise KafkaAway(f"{len(offsets) - len(found)} record(s) could not be read in time")
        return found

    def first_values(self, ranges: Mapping[PartitionKey, tuple[int, int]], bytes_max: int) -> list[bytes]:
        """The values of records in these ranges (first offset, one after the last), up to about `bytes_max` bytes.

        They are a sample: a slow Kafka returns fewer.
        """
        found: list[bytes] = []
        count, size = sum(end - start for start, end in ranges.values()), 0
        deadline = time.monotonic() + self._timeout_s
        with _kafka_errors():
            self._consumer.assign([TopicPartition(topic, p, start) for (topic, p), (start, _) in ranges.items()])
            while len(found) < count and size < bytes_max and time.monotonic() < deadline:
                for message in self._consumer.consume(100, 0.2):
                    place = (message.topic() or "", message.partition() or 0)
                    if message.error() is None and (message.offset() or 0) < ranges[place][1]:
                        found.append(message.value() or b"")
                        size += len(found[-1])
            self._consumer.unassign()
        return found

    def _watermarks(self, topic: str) -> Watermarks:
        listed = self._consumer.list_topics(topic, self._timeout_s).topics[topic].partitions
        return read_watermarks(self._consumer, topic, listed, self._timeout_s)

    def _committed(self, group: str, places: list[TopicPartition]) -> dict[int, int]:
        """Query with a consumer that never joins: the admin client crashes while a coordinator is not ready."""
        consumer = Consumer(observer_config(self._settings, group))
        try:
            found = consumer.committed(places, timeout=self._timeout_s)
        finally:
            consumer.close()
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def _members(self, group: str) -> int:
        futures = self._admin.describe_consumer_groups([group], request_timeout=self._timeout_s)
        try:
            return len(futures[group].result(self._timeout_s).members)
        except KafkaException as error:
            if error_of(error).code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    def _query(self, query: Callable[[], T]) -> T:
        """Run a query, and retry it while a leader or coordinator is elected, or a topic was just created."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                with _kafka_errors():
                    return query()
            except KafkaAway as error:
                if not error.will_pass or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)


def _at(topic: str, partition: int) -> TopicPartition:
    return TopicPartition(topic, partition)


@contextmanager
def _kafka_errors() -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise KafkaAway(error_of(error).str(), will_pass=is_not_ready(error)) from error
    except TimeoutError as error:
        raise KafkaAway("no answer in time") from error


class CommittedOffsets:
    """The committed offsets of one group, queried by a consumer that never joins it.

    It is not the admin client: in librdkafka 2.x its requests end the process when a broker dies under them.
    All calls run in one thread of its own, because they block.
    """

    def __init__(self, settings: Settings, group: str, timeout_s: float = TIMEOUT_S) -> None:
        self._consumer = Consumer(observer_config(settings, group))
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, f"{group}-offsets")

    async def read(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """The offset of each partition that has one. Raises KafkaAway."""
        if not partitions:
            return {}
        places = [_at(topic, partition) for partition in partitions]
        reading = self._thread.submit(self._consumer.committed, places, self._timeout_s)
        with _kafka_errors():
            found = await asyncio.wrap_future(reading)
        return {each.partition: each.offset for each in found if each.offset >= 0}

    def close(self) -> None:
        """Close after a query that may be under way. Does not wait."""
        self._thread.submit(self._consumer.close)
        self._thread.shutdown(wait=False)
