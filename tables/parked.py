"""Forgets statuses that nobody claimed: after a day they are another system's on our number, and only counted."""

from __future__ import annotations

from tables import locks
from tables.database import Connection
from tables.messages import SQL

KEPT_S = 24 * 3600
"""A wamid that is ours is learned within minutes; a day covers an outage of the sender's side."""
ROWS_MAX = 5000
"""Per call, so that no transaction grows long."""


async def forget_parked(connection: Connection, *, age_s: float = KEPT_S, rows_max: int = ROWS_MAX) -> int:
    """Count as foreign, then delete, what was parked longer than `age_s` ago; how many. One caller at a time."""
    parameters = {"age_s": age_s, "rows_max": rows_max, "lock": locks.PARKED_STATUSES}
    cursor = await connection.execute(SQL["forget_parked"], parameters)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
