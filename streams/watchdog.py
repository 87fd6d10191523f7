"""Ends a consumer that lives but no longer consumes: lag, no movement, and a broker that answers.

A thread with a consumer of its own, which asks for the group's offsets and never joins it. An unreachable broker is no
stall: it resets the clocks.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime import metrics
from runtime.kafka import consumer_config
from runtime.process import EXIT_TRANSIENT
from runtime.settings import Settings

if TYPE_CHECKING:
    from streams.faust_app import Consumption

LOOKS_PER_LIMIT = 6
BROKER_TIMEOUT_S = 5.0


class Beats:
    """Progress that no offset shows: a sender's answers, retries, refusals. One beat resets every clock."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def beat(self) -> None:
        """Say that something moved."""
        self.last = time.monotonic()


class Clocks:
    """Per partition: since when its committed offset has not moved while there was lag. Pure."""

    def __init__(self) -> None:
        self._still_since: dict[int, tuple[int, float]] = {}

    def reset(self) -> None:
        """Forget everything: the broker was away, or something moved elsewhere."""
        self._still_since.clear()

    def stalled_for(self, partition: int, committed: int, end: int, now: float) -> float:
        """For how long this partition has stood still, in seconds."""
        known = self._still_since.get(partition)
        if committed >= end:
            self._still_since.pop(partition, None)
            return 0.0
        if known is None or known[0] != committed:
            self._still_since[partition] = (committed, now)
            return 0.0
        return now - known[1]

    def keep(self, partitions: frozenset[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in set(self._still_since) - partitions:
            del self._still_since[partition]


class Watchdog:
    """Watches one stage's partitions of one topic, and ends the process with 75 when one stalls."""

    def __init__(
        self,
        settings: Settings,
        consumption: Consumption,
        assigned: Callable[[], frozenset[int]],
        beats: Beats | None = None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._limit_s = settings.stall_limit_s
        self._topic = consumption.topic
        self._stage = consumption.stage
        self._config = consumer_config(settings, consumption.stage)
        self._config.pop("group.instance.id", None)  # it never joins
        self._assigned = assigned
        self._beats = beats
        self._end = end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching: from here on a standing offset is a stop, not a stall. Does not wait."""
        self._stopping.set()

    def _watch(self) -> None:
        log = structlog.get_logger("watchdog")
        clocks = Clocks()
        consumer = Consumer(self._config)
        try:
            while not self._stopping.wait(self._limit_s / LOOKS_PER_LIMIT):
                try:
                    stalled_s = self._look(consumer, clocks)
                except KafkaException:
                    clocks.reset()
                    continue
                if stalled_s > self._limit_s and not self._stopping.is_set():
                    log.error("stalled: lag, and no progress", stage=self._stage, stalled_s=round(stalled_s, 1))
                    self._end(EXIT_TRANSIENT)
        finally:
            consumer.close()

    def _look(self, consumer: Consumer, clocks: Clocks) -> float:
        """The longest stall of our partitions."""
        partitions = self._assigned()
        clocks.keep(partitions)
        if not partitions:
            return 0.0
        now = time.monotonic()
        places = [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        longest = 0.0
        for place in consumer.committed(places, timeout=BROKER_TIMEOUT_S):
            low, end = consumer.get_watermark_offsets(place, timeout=BROKER_TIMEOUT_S)
            committed = max(place.offset, low)  # nothing committed yet is negative
            metrics.LAG_RECORDS.labels(self._topic, str(place.partition)).set(end - committed)
            longest = max(longest, clocks.stalled_for(place.partition, committed, end, now))
        if self._beats is not None and now - self._beats.last <= self._limit_s:
            return 0.0
        return longest
