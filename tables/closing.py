"""Closes campaigns: skips the recipients of cancelled ones, completes finished ones, and reopens them.

The scheduler's leader calls it, in chunks. This module does not release or send.
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
    """A cancelled campaign with recipients to skip. `has_pending`: some are pending, so all recipients are searched."""

    campaign_id: UUID
    has_pending: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """The result of a chunk. The next one searches pending recipients from `after` on."""

    skipped: int
    after: UUID
    is_last: bool


async def find_cancelled(connection: Connection) -> list[Cancelled]:
    """Cancelled campaigns with recipients to skip."""
    return [Cancelled(*row) for row in await (await connection.execute(_SQL["find_cancelled"])).fetchall()]


async def skip_chunk(connection: Connection, cancelled: Cancelled, limit: int, after: UUID = LOWEST_ID) -> Chunk:
    """Skip a chunk of recipients, in one transaction. It locks the rows first and decides on their locked state."""
    values = {
        "campaign": cancelled.campaign_id,
        "has_pending": cancelled.has_pending,
        "after": after,
        "limit": limit,
    }
    async with connection.transaction():
        locked = await (await connection.execute(_SQL["lock_cancelled"], values)).fetchall()
        if not locked:
            return Chunk(0, after, is_last=True)
        skips = {"campaign": cancelled.campaign_id, "ids": [row[0] for row in locked], "producer": PRODUCER}
        row = await (await connection.execute(_SQL["skip_cancelled"], skips)).fetchone()
    skipped = 0 if row is None else int(row[0])
    pending = [row[0] for row in locked if row[1] == 0]
    return Chunk(skipped, max(pending, default=after), is_last=skipped == 0)


async def complete(connection: Connection, unknown_s: float) -> list[UUID]:
    """Complete active campaigns without open recipients. An `unknown` one counts as open for `unknown_s`."""
    cursor = await connection.execute(_SQL["complete_campaigns"], {"unknown_s": unknown_s})
    return [row[0] for row in await cursor.fetchall()]


async def reopen(connection: Connection) -> list[UUID]:
    """Reopen completed campaigns in which a recipient is due again."""
    return [row[0] for row in await (await connection.execute(_SQL["reopen_campaigns"])).fetchall()]
