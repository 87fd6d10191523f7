"""Parked statuses, and statuses of other systems on our numbers.

A status without our callback data is parked under its wamid until one of our attempts learns that wamid. Our wamids
are learned within minutes. A status that is still parked after a day belongs to another system that sends on the same
number, so it is counted as foreign and deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tables import locks
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("parked")

KEPT_S = 24 * 3600
"""How long a status stays parked. A wamid of ours is learned within minutes; a day covers an outage of the senders."""
ROWS_MAX = 5000
"""Rows per call, so that no transaction grows long."""


async def find_our_numbers(connection: Connection, numbers: set[str]) -> set[str]:
    """Those of these phone number ids that belong to a campaign."""
    cursor = await connection.execute(_SQL["find_our_numbers"], {"numbers": sorted(numbers)})
    return {row[0] for row in await cursor.fetchall()}


async def count_foreign(connection: Connection, counts: Mapping[str, int]) -> None:
    """Count statuses on numbers that belong to no campaign."""
    numbers = sorted(counts)
    await connection.execute(_SQL["count_foreign"], {"numbers": numbers, "counts": plain(counts[n] for n in numbers)})


async def forget_parked(connection: Connection, *, age_s: float = KEPT_S, rows_max: int = ROWS_MAX) -> int:
    """Count as foreign, then delete, a chunk of the statuses parked longer than `age_s`; returns their number.

    A full chunk (`rows_max`) means that there may be more. Only one caller at a time does the work; another one
    returns 0.
    """
    parameters = {"age_s": age_s, "rows_max": rows_max, "lock": locks.PARKED_STATUSES}
    cursor = await connection.execute(_SQL["forget_parked"], parameters)
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def find_parked(connection: Connection, limit: int) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of parked statuses, the oldest first, and the number of all of them."""
    rows = await (await connection.execute(_SQL["find_parked"], {"limit": limit})).fetchall()
    return [row[:-1] for row in rows], rows[0][-1] if rows else 0


async def read_foreign(connection: Connection) -> list[tuple[str, int, datetime]]:
    """Per number: the count of statuses of other systems, and the last day with one."""
    return [(row[0], row[1], row[2]) for row in await (await connection.execute(_SQL["read_foreign"])).fetchall()]
