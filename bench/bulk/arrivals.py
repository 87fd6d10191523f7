"""When jobs arrive in their topic: the rate, and the longest gap without one."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

import orjson
from confluent_kafka import Consumer, TopicPartition

from runtime.settings import Settings
from schemas.topics import Topic
from topics.clients import observer_config

READ_TOGETHER = 5_000
READ_S = 0.05


@dataclass(slots=True)
class Arrivals:
    """The jobs of each campaign: when some were read, and how many."""

    seen: defaultdict[UUID, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, at: float, campaigns: Sequence[UUID]) -> None:
        """Note the jobs of one read."""
        for campaign in set(campaigns):
            self.seen[campaign].append((at, campaigns.count(campaign)))

    def count(self, campaign: UUID) -> int:
        """How many jobs of a campaign have arrived."""
        return sum(n for _, n in list(self.seen[campaign]))

    def first_at(self, campaign: UUID) -> float:
        """When its first job arrived. Raises IndexError without one."""
        return self.seen[campaign][0][0]

    def last_at(self, campaign: UUID) -> float:
        """When its last job arrived. Raises IndexError without one."""
        return self.seen[campaign][-1][0]

    def longest_gap_s(self, campaign: UUID) -> float:
        """The longest time between two reads with jobs of a campaign."""
        return max((later - earlier for (earlier, _), (later, _) in pairwise(self.seen[campaign])), default=0.0)


@contextmanager
def watched_jobs(settings: Settings) -> Iterator[Arrivals]:
    """Read the topic of jobs from now on, in a thread."""
    topic, found, ending = settings.topic(Topic.SEND_JOBS), Arrivals(), threading.Event()
    consumer = Consumer(observer_config(settings, "watched-jobs"))
    partitions = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])

    def read() -> None:
        while not ending.is_set():
            records = consumer.consume(READ_TOGETHER, READ_S)
            values = [record.value() for record in records if record.error() is None]
            if values:
                found.add(time.monotonic(), [UUID(orjson.loads(value or b"")["campaign_id"]) for value in values])

    thread = threading.Thread(target=read, name="watched-jobs", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ending.set()
        thread.join()
        consumer.close()
