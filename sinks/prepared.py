"""Makes a batch ready to be written: its events decoded, folded, compared with the rows, and encoded.

It reads tables and locks nothing, so it is done over a connection of its own while Postgres writes the batch before.
What it reads, the campaigns of recipients, no sink writes. A row may be deleted after it was read. As that may happen
between any two statements of a writer, what is older than READ_AGE_MAX_S is read again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.dead_letters import DeadItem
from schemas.events import RecipientEvent
from schemas.places import Record
from sinks.apply import FoldedEvents, KnownPhoneNumbers, fold_events
from sinks.batch import decode_batch
from sinks.mixed import MixedPart, columns_of, mix
from sinks.usual import UsualPart
from tables.database import Connection

READ_AGE_MAX_S = 1.0


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Records that are ready to be written."""

    records: Sequence[Record]
    part: UsualPart
    """The usual events."""
    events: Sequence[RecipientEvent]
    """The others."""
    sources: Sequence[Record]
    malformed: Sequence[DeadItem]
    folding: FoldedEvents
    """The others, folded. It is changed where usual events name the same recipient or wamid."""
    mixed: MixedPart | None
    """Both, if there are others."""
    read_at: float
    """By the monotonic clock."""

    @property
    def is_fresh(self) -> bool:
        """Whether it may be written as it is."""
        return time.monotonic() - self.read_at <= READ_AGE_MAX_S


async def prepare(
    connection: Connection, records: Sequence[Record], part: UsualPart, numbers: KnownPhoneNumbers
) -> PreparedBatch:
    """Prepare the other events of records, and join them with the usual ones.

    Raises psycopg.Error, CodeRaised and Unusual.
    """
    read_at = time.monotonic()
    events, sources, malformed = decode_batch(part.others)
    if not events:
        return PreparedBatch(records, part, events, sources, malformed, FoldedEvents(), None, read_at)
    folding = await fold_events(connection, events, numbers, max(record.at for record in records))
    mixed = mix(folding, part)
    if mixed.messages is not None:
        mixed = replace(mixed, columns=await columns_of(mixed, mixed.messages))
    return PreparedBatch(records, part, events, sources, malformed, folding, mixed, read_at)
