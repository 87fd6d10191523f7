"""Postgres' clock: what is planned by a host's own clock would be late, or early, by what that one is wrong."""

from __future__ import annotations

from datetime import datetime

from tables.database import Connection
from tables.statements import load

_SQL = load("clock")


async def read_clock(connection: Connection) -> datetime:
    """The time now."""
    row = await (await connection.execute(_SQL["read_clock"])).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now
