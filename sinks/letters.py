"""Publishes the dead letters of a batch before its transaction, once, however often the transaction is retried.

No row is locked while Kafka acknowledges. A letter that was acknowledged is not published again for a retry in the same
process, so an outage of Postgres neither fills the topic of dead letters nor halts the sink at its limit.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from schemas.dead_letters import DeadItem
from schemas.places import Place, Record
from topics.dead_letters import DeadLetters


class BatchLetters:
    """Remembers which letters of records that are not stored yet were acknowledged, and which records were counted."""

    def __init__(self, dead_letters: DeadLetters) -> None:
        self._dead_letters = dead_letters
        self._acknowledged: set[Place] = set()
        self._counted: list[Sequence[Record]] = []
        """The records that were counted, as they came: nearly every batch is stored as a whole, without a retry. A set
        of their places took 1.5 µs a record."""

    async def publish(self, dead: Sequence[DeadItem], records: Sequence[Record]) -> None:
        """Publish those of these dead items of these records that were not acknowledged before.

        Raises TooManyDeadLetters above a limit, and PublishFailed when Kafka does not acknowledge.
        """
        new = [item for item in dead if item.origin not in self._acknowledged]
        uncounted = self._uncounted(records)
        if new or uncounted:
            await self._dead_letters.publish(new, len(uncounted), is_divisible=len(records) > 1)
            self._acknowledged.update(item.origin for item in new)
            self._counted.append(uncounted)

    def _uncounted(self, records: Sequence[Record]) -> Sequence[Record]:
        if not self._counted:
            return records
        if any(counted is records for counted in self._counted):
            return ()
        return _without(records, {record.place for counted in self._counted for record in counted})

    def forget(self, records: Sequence[Record]) -> None:
        """Forget records that are stored."""
        is_whole = len(self._counted) == 1 and self._counted[0] is records
        if is_whole and not self._acknowledged:
            self._counted.clear()
            return
        places = {record.place for record in records}
        self._acknowledged -= places
        self._counted = [left for counted in self._counted if (left := _without(counted, places))]

    def forget_all(self) -> None:
        """Forget everything: another sink stores these records."""
        self._acknowledged.clear()
        self._counted.clear()


def _without(records: Sequence[Record], places: Container[Place]) -> Sequence[Record]:
    return [record for record in records if record.place not in places]
