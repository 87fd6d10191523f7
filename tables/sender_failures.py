"""Senders that ended by a bug after they had claimed and before any answer. Two of a host stop the claims."""

from __future__ import annotations

from tables.database import Connection
from tables.statements import load

_SQL = load("sender_failures")


async def add(connection: Connection, host: str) -> None:
    """Record that a sender of this host ended so."""
    await connection.execute(_SQL["add_failure"], {"host": host})


async def take(connection: Connection, host: str, enough: int) -> int:
    """If `enough` senders of this host ended so within ten minutes, forget them and return how many; else 0."""
    cursor = await connection.execute(_SQL["take_failures"], {"host": host, "enough": enough})
    return len(await cursor.fetchall())
