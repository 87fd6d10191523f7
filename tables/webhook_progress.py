"""Up to which moment all acknowledged webhooks are applied. The scheduler's leader writes it, and senders obey it."""

from __future__ import annotations

from datetime import datetime

from tables.database import Connection
from tables.statements import load

_SQL = load("webhook_progress")


async def record(connection: Connection, applied_through: datetime) -> float:
    """Store the moment, and return its age in seconds."""
    row = await (await connection.execute(_SQL["record_progress"], {"at": applied_through})).fetchone()
    assert row is not None
    return float(row[0])


async def read_age(connection: Connection) -> float | None:
    """Seconds since that moment. None: nobody has watched yet, so this installation has not received webhooks."""
    row = await (await connection.execute(_SQL["read_age"])).fetchone()
    return None if row is None else float(row[0])
