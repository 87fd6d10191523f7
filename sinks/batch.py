"""One batch of records: the events in it, its dead items, and the offsets to which it moves its partitions."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from schemas.dead_letters import DeadItem
from schemas.events import WEBHOOK_KINDS, RecipientEvent
from schemas.places import Record
from schemas.reasons import DeadLetterReason
from topics.decoding import dead_item, decoded

Moves = Mapping[int, tuple[int, int]]
"""Per partition: the stored offset that is expected, and the next one."""

DECODED_MAX = 8 * 1024 * 1024
"""Most bytes that the other events of a batch may take when they are decoded, some 2,600 statuses. Three batches are in
memory at a time."""
DECODED_EVENT = 2_500
"""What a RecipientEvent takes beside the bytes of its record."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, and what they contain."""

    records: Sequence[Record]
    events: Sequence[RecipientEvent]
    sources: Sequence[Record]
    """The record of each event."""
    malformed: Sequence[DeadItem]
    """The dead items of the records that are not events."""
    moves: Moves
    held: Sequence[tuple[Record, UUID | None]] = ()
    """Records whose recipient another session has locked, with the recipient. They are kept for later."""

    @property
    def written_at(self) -> datetime:
        """The time of the newest record."""
        return max(record.at for record in self.records)

    def without(self, locked: Mapping[int, UUID | None]) -> Batch:
        """The batch without the events at these positions, which are held."""
        kept = [at for at in range(len(self.events)) if at not in locked]
        return replace(
            self,
            events=[self.events[at] for at in kept],
            sources=[self.sources[at] for at in kept],
            held=[*self.held, *((self.sources[at], recipient) for at, recipient in locked.items())],
        )

    def dead(self, refused: Mapping[int, DeadLetterReason]) -> list[DeadItem]:
        """The malformed items, and those of refused events, by the position of the event."""
        return [*self.malformed, *(dead_item(self.sources[at], reason) for at, reason in refused.items())]


def last_offsets(records: Sequence[Record]) -> dict[int, int]:
    """Per partition: the offset of its last record."""
    return {record.partition: record.offset for record in records}


def moves_of(last: Mapping[int, int], positions: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Per partition: the offset that we expect to be stored, and the one after the last record of a batch."""
    return {partition: (positions[partition], offset + 1) for partition, offset in last.items()}


def count_fitting(records: Sequence[Record], others: Iterable[int]) -> int:
    """How many of the first records may be in a batch, at least one. `others`: ascending positions of the records that
    have to be decoded as RecipientEvent; each takes several times the memory of its record.
    """
    left = DECODED_MAX
    for at in others:
        left -= DECODED_EVENT + len(records[at].value or b"")
        if left < 0:
            return max(1, at)
    return len(records)


def decode_batch(
    records: Sequence[Record],
) -> tuple[list[RecipientEvent], list[Record], list[DeadItem]]:
    """The events, the record of each event, and the dead items of the records that are not events."""
    events: list[RecipientEvent] = []
    sources: list[Record] = []
    malformed: list[DeadItem] = []
    for record in records:
        event = decoded(RecipientEvent, record)
        if isinstance(event, DeadItem):
            malformed.append(event)
        else:
            events.append(event)
            sources.append(record)
    return events, sources, malformed


def webhook_delays_s(
    events: Sequence[RecipientEvent], refused: Container[int], committed_at: datetime
) -> Iterator[float]:
    """Seconds from the receipt of each webhook to the commit, for the events that were merged.

    Our own outcomes are left out. The ingress and the sink have their own clocks, so a small delay may be negative; it
    counts as 0.
    """
    for at, event in enumerate(events):
        if event.kind in WEBHOOK_KINDS and at not in refused:
            yield max(0.0, (committed_at - event.received_at).total_seconds())
