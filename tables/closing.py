"""The end of a campaign: skipping who still waits in a cancelled one, completing, and opening again.

Called by the scheduler's leader, in chunks. It must not release or send.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from schemas.codec import PRODUCER
from tables.database import Connection
from tables.statements import load

_SQL = load("closing")
LOWEST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A cancelled campaign in which somebody still waits. `has_pending`: its people must be looked through."""

    campaign_id: UUID
    has_pending: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a chunk did, and from which id the next one looks for pending people."""

    skipped: int
    after: UUID
    is_last: bool


async def find_cancelled(connection: Connection) -> list[Cancelled]:
    """Cancelled campaigns that are not over yet."""
    return [Cancelled(*row) for row in await (await connection.execute(_SQL["find_cancelled"])).fetchall()]


async def skip_chunk(connection: Connection, cancelled: Cancelled, limit: int, after: UUID = LOWEST_ID) -> Chunk:
    """Skip a chunk of who still waits, in one transaction: held first, then judged by what is true while held."""
    wanted = {
        "campaign": cancelled.campaign_id,
        "has_pending": cancelled.has_pending,
        "after": after,
        "limit": limit,
    }
    async with connection.transaction():
        held = await (await connection.execute(_SQL["hold_cancelled"], wanted)).fetchall()
        if not held:
            return Chunk(0, after, is_last=True)
        values = {"campaign": cancelled.campaign_id, "ids": [row[0] for row in held], "producer": PRODUCER}
        row = await (await connection.execute(_SQL["skip_cancelled"], values)).fetchone()
    skipped = 0 if row is None else int(row[0])
    pending = [row[0] for row in held if row[1] == 0]
    return Chunk(skipped, max(pending, default=after), is_last=skipped == 0)


async def complete(connection: Connection, unknown_s: float) -> list[UUID]:
    """Complete campaigns in which nobody waits; an `unknown` is waited for so long."""
    cursor = await connection.execute(_SQL["complete_campaigns"], {"unknown_s": unknown_s})
    return [row[0] for row in await cursor.fetchall()]


async def reopen(connection: Connection) -> list[UUID]:
    """Make completed campaigns active in which somebody became due."""
    return [row[0] for row in await (await connection.execute(_SQL["reopen_campaigns"])).fetchall()]
