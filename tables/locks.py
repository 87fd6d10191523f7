"""Every advisory lock of the project, in one place, so that no two purposes share a key.

Postgres has one space of 64-bit keys per database. The keys below begin with the letters "camp" and end with a number.
A lock that belongs to a value has no constant: SQL hashes a text with `hashtextextended(text, 0)`. There are two such
texts: `idempotency_text` below, and the name of a shadow schema or the id of a replay run (`sql/shadow.sql`).
A session lock ends with its connection, so a process that dies releases it.
"""

from __future__ import annotations

from typing import Final

from tables.database import Connection

MIGRATION: Final = 0x63616D70_00000001
"""Session lock of `campaigns db migrate`: processes that start together apply each migration once."""
SCHEDULER: Final = 0x63616D70_00000002
"""Session lock of the scheduler's leader."""
STATS_PUBLISHER: Final = 0x63616D70_00000003
"""Session lock of the stats publisher's leader."""
PARKED_STATUSES: Final = 0x63616D70_00000004
"""Transaction lock of the deletion of old parked statuses: two at once would count the same statuses twice."""
COUNTER_REPAIR: Final = 0x63616D70_00000005
"""Session lock of a counter repair: two at once would correct the same difference twice."""
RECOVERY: Final = 0x63616D70_00000006
"""Session lock of `campaigns recover`: the second one waits, then finds nothing left to do."""
REDRIVE: Final = 0x63616D70_0000000A
"""Session lock of `campaigns dead-letters redrive` and `drop`: two at once would redrive the same dead letters."""

ALL: Final = (MIGRATION, SCHEDULER, STATS_PUBLISHER, PARKED_STATUSES, COUNTER_REPAIR, RECOVERY, REDRIVE)
"""Every key above. A test checks that they differ."""


_SCOPED: Final = (
    "%s::bigint # CASE current_schema() WHEN 'public' THEN 0 ELSE hashtextextended(current_schema(), 0) END"
)
"""A key for this schema alone: installations in other schemas of the database have leaders of their own."""


def idempotency_text(key: str) -> str:
    """The text whose hash is the transaction lock of an Idempotency-Key, so a request never runs twice at once."""
    return f"idempotency-key {key}"


async def try_lock(connection: Connection, key: int) -> bool:
    """Take a session lock without waiting. False: another session holds it."""
    row = await (await connection.execute(f"SELECT pg_try_advisory_lock({_SCOPED})", [key])).fetchone()
    return row is not None and bool(row[0])


async def lock(connection: Connection, key: int) -> None:
    """Wait for a session lock, and take it."""
    await connection.execute(f"SELECT pg_advisory_lock({_SCOPED})", [key])


async def unlock(connection: Connection, key: int) -> None:
    """Release a session lock."""
    await connection.execute(f"SELECT pg_advisory_unlock({_SCOPED})", [key])
