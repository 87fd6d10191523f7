"""Ends a process whose consumer is stalled: there is lag, no offset moves, and every dependency answers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime import metrics
from runtime.process import EXIT_TRANSIENT
from runtime.pulse import CHECKS_PER_LIMIT, Heartbeats, IsReachable, always, log_stall
from runtime.settings import Settings
from topics.clients import observer_config
from topics.watermarks import read_highs, read_lows

BROKER_TIMEOUT_S = 5.0


class StallClocks:
    """Measures for each partition how long its committed offset has not moved while there was lag. Pure."""

    def __init__(self) -> None:
        self._still_since: dict[int, tuple[int, float]] = {}

    def reset(self) -> None:
        """Start all measurements again: the broker was away, or there was progress elsewhere."""
        self._still_since.clear()

    def stalled_for(self, partition: int, committed: int, end: int, now: float) -> float:
        """For how many seconds this partition has been stalled."""
        known = self._still_since.get(partition)
        if committed >= end:
            self._still_since.pop(partition, None)
            return 0.0
        if known is None or known[0] != committed:
            self._still_since[partition] = (committed, now)
            return 0.0
        return now - known[1]

    def keep(self, partitions: frozenset[int]) -> None:
        """Forget partitions that are no longer assigned."""
        for partition in set(self._still_since) - partitions:
            del self._still_since[partition]


class Watchdog:
    """Watches the partitions of one stage, and ends the process with 75 when one is stalled."""

    def __init__(
        self,
        settings: Settings,
        stage: str,
        topic: str,
        assigned: Callable[[], frozenset[int]],
        *,
        beats: Heartbeats | None = None,
        answers: IsReachable = always,
        statuses_per_record: Callable[[], float] = lambda: 1.0,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._limit_s = settings.stall_limit_s
        self._topic = topic
        self._stage = stage
        self._config = observer_config(settings, stage)
        self._assigned = assigned
        self._beats = beats
        self._answers = answers
        self._statuses_per_record = statuses_per_record
        self._shown: frozenset[int] = frozenset()
        self._end = end
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching: from now on an idle offset is a stop, not a stall. Does not wait."""
        self._stopping.set()

    def _watch(self) -> None:
        clocks = StallClocks()
        consumer = Consumer(self._config)
        interval_s = self._limit_s / CHECKS_PER_LIMIT
        watched_s, last = 0.0, time.monotonic()
        try:
            while not self._stopping.wait(interval_s):
                now = time.monotonic()
                watched_s += min(now - last, interval_s + 2 * BROKER_TIMEOUT_S)
                last = now
                try:
                    stalled_s = self._check(consumer, clocks, watched_s)
                except KafkaException:
                    clocks.reset()
                    continue
                if stalled_s <= self._limit_s or self._stopping.is_set():
                    continue
                if not self._answers():
                    clocks.reset()
                    continue
                log_stall(self._stage, "stalled: there is lag and no progress; the process ends", stalled_s)
                self._end(EXIT_TRANSIENT)
        finally:
            consumer.close()

    def _check(self, consumer: Consumer, clocks: StallClocks, watched_s: float) -> float:
        """The longest stall of our partitions."""
        partitions = self._assigned()
        clocks.keep(partitions)
        for lost in self._shown - partitions:
            metrics.forget_lag(self._topic, lost)
        self._shown = partitions
        if not partitions:
            return 0.0
        places = [TopicPartition(self._topic, partition) for partition in sorted(partitions)]
        longest = 0.0
        ends = read_highs(consumer, self._topic, partitions, BROKER_TIMEOUT_S)
        found = consumer.committed(places, timeout=BROKER_TIMEOUT_S)
        behind = [place.partition for place in found if place.offset < ends[place.partition]]
        lows = read_lows(consumer, self._topic, behind, BROKER_TIMEOUT_S)
        for place in found:
            partition, end = place.partition, ends[place.partition]
            committed = max(place.offset, lows.get(partition, 0))  # it is negative before the first commit
            metrics.set_lag(self._topic, partition, max(0, end - committed), self._statuses_per_record())
            longest = max(longest, clocks.stalled_for(partition, committed, end, watched_s))
        if self._beats is not None and time.monotonic() - self._beats.last <= self._limit_s:
            return 0.0
        return longest
