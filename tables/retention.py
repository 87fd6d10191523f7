"""Deletes old rows that nothing needs any more, in chunks. Each pass reads a table once, in the order of its key.

Only rows are deleted that no claim, no completion and no check needs (sql/retention.sql states the conditions), so
`campaigns verify` still proves the others. A deleted message leaves the key of its wamid, so a status that is late or
replayed still finds its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from tables.database import Connection
from tables.statements import load

_SQL = load("retention")

ChunkPlace = Mapping[str, Any]
"""The key after which a chunk begins, by the parameters of its statement."""


class Prunable(StrEnum):
    """Each table that retention may prune; the value names its statement."""

    LEDGER = "ledger"
    MESSAGES = "messages"
    SUBSCRIPTION_OUTBOX = "subscription_outbox"
    BUDGETS = "budgets"
    TIMELINE = "timeline"
    DEAD_LETTER_ACTS = "dead_letter_acts"
    IDEMPOTENCY_KEYS = "idempotency_keys"
    PERSON_ATTEMPTS = "person_attempts"


START: Mapping[Prunable, ChunkPlace] = {
    Prunable.LEDGER: {"after_recipient": UUID(int=0), "after_attempt": 0},
    Prunable.MESSAGES: {"after_recipient": UUID(int=0), "after_attempt": 0},
    Prunable.SUBSCRIPTION_OUTBOX: {"after_id": 0},
    Prunable.BUDGETS: {"after_campaign": UUID(int=0), "after_day": date(1, 1, 1)},
    Prunable.TIMELINE: {"after_campaign": UUID(int=0), "after_minute": datetime(1, 1, 1, tzinfo=UTC)},
    Prunable.DEAD_LETTER_ACTS: {"after_topic": "", "after_partition": -1, "after_offset": -1},
    Prunable.IDEMPOTENCY_KEYS: {"after_key": ""},
    Prunable.PERSON_ATTEMPTS: {
        "after_person": "",
        "after_at": datetime(1, 1, 1, tzinfo=UTC),
        "after_recipient": UUID(int=0),
        "after_attempt": 0,
    },
}
"""The place before the first row of each table."""


@dataclass(frozen=True, slots=True)
class PrunedChunk:
    """The number of deleted rows, and where the next chunk begins; None at the end of the table."""

    deleted: int
    next: ChunkPlace | None


async def prune(
    connection: Connection, table: Prunable, days: int, place: ChunkPlace, limit: int, unlimited: Sequence[str] = ()
) -> PrunedChunk:
    """Delete the rows of one chunk that are older than `days`.

    `unlimited`: the dead-letter topics that keep their records without limit, so that their acts stay too.
    """
    values = {"days": days, "limit": limit, "unlimited": list(unlimited), **place}
    row = await (await connection.execute(_SQL[f"prune_{table.value}"], values)).fetchone()
    if row is None:
        return PrunedChunk(0, None)
    deleted, count, *key = row
    return PrunedChunk(deleted, dict(zip(place, key, strict=True)) if count == limit else None)
