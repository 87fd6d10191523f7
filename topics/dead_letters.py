"""Where refused records go, and the limit above which refusing is no longer right: then something larger is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from runtime import metrics
from schemas.codec import PRODUCER
from schemas.dead_letters import DeadLetter
from schemas.places import Record
from schemas.topics import dead_letters_of
from topics.dead_letter_limit import DeadLetterLimit
from topics.publisher import AsyncPublisher, RecordTooLarge

ACKNOWLEDGE_S = 5.0
"""Kafka's time, because the caller's transaction holds its rows meanwhile; then the whole batch is tried again."""
KEPT_BYTES = 1000
"""Of a record that, with the headers of a dead letter, is too large for the topic."""

RefusedRecord = tuple[Record, str, str]
"""A record, its reason code, and what the error said more; empty: nothing."""

log = structlog.get_logger(__name__)


class DeadLetters:
    """Publishes dead letters of one stage; they are acknowledged when `publish` returns."""

    def __init__(
        self,
        publisher: AsyncPublisher,
        stage: str,
        limit: DeadLetterLimit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._stage = stage
        self._limit = limit
        self._clock = clock

    async def publish(self, letters: Sequence[RefusedRecord], items: int) -> None:
        """Publish records with reason code and error text; `items` is how many the batch has altogether.

        Raises TooManyDeadLetters above the limits (rate, share), PublishFailed where Kafka does not acknowledge.
        """
        if not letters:
            self._limit.add(self._clock(), 0, items)
            return
        self._limit.require(self._clock(), len(letters), items)
        found = [
            (dead_letters_of(record.topic), record.key, record.value, self._headers(record, reason, error))
            for record, reason, error in letters
        ]
        try:
            await self._publisher.publish_batch(found, ACKNOWLEDGE_S)
        except RecordTooLarge as error:
            cut = [found[index] for index in error.indices]
            short = [(t, k, (v or b"")[:KEPT_BYTES], h) for t, k, v, h in cut]
            await self._publisher.publish_batch(short, ACKNOWLEDGE_S)
        self._limit.add(self._clock(), len(letters), items)
        for record, reason, _ in letters:
            metrics.DEAD_LETTERS.labels(self._stage, reason).inc()
            where = f"{record.topic}/{record.partition}@{record.offset}"
            log.warning("dead letter", reason=reason, origin=where)

    def _headers(self, record: Record, reason: str, error: str) -> list[tuple[str, bytes]]:
        letter = DeadLetter(self._stage, reason, record.topic, record.partition, record.offset, error=error)
        return letter.headers(PRODUCER)
