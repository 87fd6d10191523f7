"""Where refused records go, and the limit above which refusing is no longer right: then something larger is wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from runtime import metrics
from runtime.kafka import AsyncPublisher, RecordTooLarge
from schemas.codec import PRODUCER
from schemas.dead_letters import DeadLetter
from schemas.topics import dead_letters_of
from sinks.intake import Record

WINDOW_S = 60.0
ACKNOWLEDGE_S = 5.0
"""Kafka's time, because the caller's transaction holds its rows meanwhile; then the whole batch is tried again."""
KEPT_BYTES = 1000
"""Of a record that, with the headers of a dead letter, is too large for the topic."""

log = structlog.get_logger(__name__)


class TooManyDeadLetters(Exception):
    """So many that the records are hardly to blame. Nothing was moved; fix the cause, or raise the limit."""


class DeadLetters:
    """Publishes dead letters of one stage; they are acknowledged when `publish` returns."""

    def __init__(
        self, publisher: AsyncPublisher, stage: str, rate_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._stage = stage
        self._rate_max = rate_max
        self._clock = clock
        self._recent: deque[float] = deque()

    async def publish(self, letters: Sequence[tuple[Record, str]]) -> None:
        """Publish records with their reason codes.

        Raises TooManyDeadLetters above the limit of a minute, PublishFailed where Kafka does not acknowledge.
        """
        if not letters:
            return
        self._count(len(letters))
        found = [
            (dead_letters_of(record.topic), record.key, record.value, self._headers(record, reason))
            for record, reason in letters
        ]
        try:
            await self._publisher.publish_batch(found, ACKNOWLEDGE_S)
        except RecordTooLarge as error:
            cut = [found[index] for index in error.indices]
            short = [(t, k, (v or b"")[:KEPT_BYTES], h) for t, k, v, h in cut]
            await self._publisher.publish_batch(short, ACKNOWLEDGE_S)
        for record, reason in letters:
            metrics.DEAD_LETTERS.labels(self._stage, reason).inc()
            where = f"{record.topic}/{record.partition}@{record.offset}"
            log.warning("dead letter", reason=reason, origin=where)

    def _count(self, number: int) -> None:
        now = self._clock()
        while self._recent and self._recent[0] <= now - WINDOW_S:
            self._recent.popleft()
        if len(self._recent) + number > self._rate_max:
            raise TooManyDeadLetters(
                f"{self._stage}: more than {self._rate_max} dead letters in a minute (CAMPAIGNS_DEAD_LETTER_RATE_MAX)"
            )
        self._recent.extend([now] * number)

    def _headers(self, record: Record, reason: str) -> list[tuple[str, bytes]]:
        return DeadLetter(self._stage, reason, record.topic, record.partition, record.offset).headers(PRODUCER)
