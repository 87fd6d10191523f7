"""One batch of records: the events in it, and the offsets to which it moves its partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.dead_letters import DeadItem
from schemas.events import RecipientEvent
from schemas.places import Record
from topics.decoding import decoded


def moves_of(records: Sequence[Record], positions: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Per partition: the offset that we expect to be stored, and the one after the last record of the batch."""
    last: dict[int, int] = {}
    for record in records:
        last[record.partition] = record.offset
    return {partition: (positions[partition], offset + 1) for partition, offset in last.items()}


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
