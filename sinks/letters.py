"""Publishes the dead letters of a batch before its transaction, once, however often the transaction is retried.

No row is locked while Kafka acknowledges. A letter that was acknowledged is not published again for a retry in the same
process, so an outage of Postgres neither fills the topic of dead letters nor halts the sink at its limit.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.dead_letters import DeadItem
from schemas.places import Place, Record
from topics.dead_letters import DeadLetters


class BatchLetters:
    """Remembers which letters of records that are not stored yet were acknowledged, and which records were counted."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters
        self._acknowledged: set[Place] = set()
        self._counted: set[Place] = set()

    async def publish(self, dead: Sequence[DeadItem], records: Sequence[Record]) -> None:
        """Publish those of these dead items of these records that were not acknowledged before.

        Raises TooManyDeadLetters above a limit, and PublishFailed when Kafka does not acknowledge.
        """
        new = [item for item in dead if item.origin not in self._acknowledged]
        uncounted = [record.place for record in records if record.place not in self._counted]
        if new or uncounted:
            await self._dead_letters.publish(new, len(uncounted), is_divisible=len(records) > 1)
            self._acknowledged.update(item.origin for item in new)
            self._counted.update(uncounted)

    def forget(self, records: Sequence[Record]) -> None:
        """Forget records that are stored."""
        places = {record.place for record in records}
        self._acknowledged -= places
        self._counted -= places

    def forget_all(self) -> None:
        """Forget everything: another sink stores these records."""
        self._acknowledged.clear()
        self._counted.clear()
