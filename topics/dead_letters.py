"""The one way into a dead-letter topic, for every stage: check the limit, publish, count, log.

A stage decides what is a dead letter and in which order things are acknowledged; this module knows neither.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from runtime import metrics
from schemas.codec import PRODUCER
from schemas.dead_letters import DeadItem, DeadLetter
from schemas.places import Outgoing
from schemas.reasons import DeadLetterReason
from schemas.topics import dead_letters_of
from topics.dead_letter_limit import DeadLetterLimit, Load
from topics.publisher import PUBLISH_TIMEOUT_S, Publisher, RecordTooLarge

EXCERPTS_BYTES = (1000, 0)
"""How much is kept of a record that is too large for the dead-letter topic; less, if that is still too large. Its
headers name its place, from which a redrive reads it."""


class DeadLetters:
    """Publishes the dead letters of one stage. They are acknowledged when `publish` returns.

    `timeout_s`: how long to wait for Kafka. `clock`: monotonic seconds, for the limit per minute.
    """

    def __init__(
        self,
        publisher: Publisher,
        stage: str,
        limit: DeadLetterLimit,
        *,
        timeout_s: float = PUBLISH_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._stage = stage
        self._limit = limit
        self._timeout_s = timeout_s
        self._clock = clock
        self._log = structlog.get_logger(stage)
        for reason in DeadLetterReason:  # Prometheus sees no increase in a series that begins with the first letter
            metrics.DEAD_LETTERS.labels(stage, reason.value)

    def require(self, dead: Sequence[DeadItem], items: int, *, is_divisible: bool = True) -> None:
        """Raise TooManyDeadLetters if these letters among `items` more items would exceed a limit.

        `is_divisible`: whether the stage can take fewer records at a time.
        """
        self._limit.require(self._clock(), _load(dead, items), is_divisible=is_divisible)

    async def publish(self, dead: Sequence[DeadItem], items: int, *, is_divisible: bool = True) -> None:
        """Publish the dead items of a batch; `items` is the size of the whole batch.

        Raises TooManyDeadLetters above a limit; then nothing is published. Raises PublishFailed when Kafka does not
        acknowledge; then all may be published again.
        """
        self.require(dead, items, is_divisible=is_divisible)
        if dead:
            await self._publish(dead)
        self._limit.add(self._clock(), _load(dead, items))
        self._report(dead)

    async def _publish(self, dead: Sequence[DeadItem]) -> None:
        try:
            await self._publisher.publish_batch([self._letter(item) for item in dead], self._timeout_s)
            return
        except RecordTooLarge as error:
            dead = [dead[index] for index in error.indices]
        for kept in EXCERPTS_BYTES[:-1]:
            try:
                await self._publisher.publish_batch([self._excerpt(item, kept) for item in dead], self._timeout_s)
                return
            except RecordTooLarge as error:
                dead = [dead[index] for index in error.indices]
        await self._publisher.publish_batch([self._excerpt(item, EXCERPTS_BYTES[-1]) for item in dead], self._timeout_s)

    def _letter(self, item: DeadItem, *, is_by_place: bool = False) -> Outgoing:
        letter = DeadLetter(
            self._stage, item.reason, item.origin, item.error, item.items, item.redriven, is_by_place=is_by_place
        )
        return Outgoing(dead_letters_of(item.origin.topic), item.key, item.value, letter.headers(PRODUCER))

    def _excerpt(self, item: DeadItem, kept: int) -> Outgoing:
        return self._letter(item, is_by_place=True)._replace(key=None, value=(item.value or b"")[:kept])

    def _report(self, dead: Sequence[DeadItem]) -> None:
        first: dict[str, DeadItem] = {}
        for item in dead:
            metrics.DEAD_LETTERS.labels(self._stage, item.reason).inc()
            first.setdefault(item.reason, item)
            if item.raised is not None:
                self._log.error(
                    "unhandled exception while processing an item; it was dead-lettered",
                    origin=str(item.origin),
                    exc_info=item.raised,
                )
        for reason, count in Counter(item.reason for item in dead).items():
            example = first[reason]
            self._log.warning(
                "dead letters", reason=reason, count=count, first_origin=str(example.origin), error=example.error
            )


def _load(dead: Sequence[DeadItem], items: int) -> Load:
    evidence = [item for item in dead if item.is_evidence]
    return Load(len(evidence), sum(item.share for item in evidence), items)
