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
from schemas.topics import dead_letters_of
from topics.dead_letter_limit import DeadLetterLimit
from topics.publisher import PUBLISH_TIMEOUT_S, Publisher, RecordTooLarge

KEPT_BYTES = 1000
"""How much is kept of a record that is too large for the dead-letter topic, together with its headers."""


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

    def require(self, dead: int, items: int) -> None:
        """Raise TooManyDeadLetters if `dead` more letters among `items` more items would exceed a limit."""
        self._limit.require(self._clock(), dead, items)

    async def publish(self, dead: Sequence[DeadItem], items: int) -> None:
        """Publish the dead items of a batch; `items` is the size of the whole batch.

        Raises TooManyDeadLetters above a limit; then nothing is published. Raises PublishFailed when Kafka does not
        acknowledge; then all may be published again.
        """
        self.require(len(dead), items)
        if dead:
            await self._publish([self._letter(item) for item in dead])
        self._limit.add(self._clock(), len(dead), items)
        self._report(dead)

    async def _publish(self, letters: list[Outgoing]) -> None:
        try:
            await self._publisher.publish_batch(letters, self._timeout_s)
        except RecordTooLarge as error:
            shortened = [
                letters[index]._replace(value=(letters[index].value or b"")[:KEPT_BYTES]) for index in error.indices
            ]
            await self._publisher.publish_batch(shortened, self._timeout_s)

    def _letter(self, item: DeadItem) -> Outgoing:
        headers = DeadLetter(self._stage, item.reason, item.origin, item.error).headers(PRODUCER)
        return Outgoing(dead_letters_of(item.origin.topic), item.key, item.value, headers)

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
