"""The installation row, and the statements of `campaigns recover`."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from schemas.codec import PRODUCER
from tables.database import Connection
from tables.statements import load

_SQL = load("recovery")


async def read_installation(connection: Connection) -> tuple[bool, int]:
    """Whether server and timeline are those that the data belongs to, and the epoch."""
    row = await (await connection.execute(_SQL["read_installation"])).fetchone()
    assert row is not None
    return bool(row[0]), int(row[1])


async def stop_sending(connection: Connection) -> None:
    """Prevent releases and claims until `begin_epoch`."""
    await connection.execute(_SQL["stop_sending"])


async def begin_epoch(connection: Connection) -> int:
    """Write the identity of this server, which permits releases and claims; returns the new epoch."""
    row = await (await connection.execute(_SQL["begin_epoch"])).fetchone()
    assert row is not None
    return int(row[0])


async def find_open(connection: Connection, after: UUID, limit: int) -> list[tuple[UUID, int]]:
    """Queued recipients without a ledger row, with their attempt: the next ones after an id."""
    rows = await (await connection.execute(_SQL["find_open"], {"after": after, "limit": limit})).fetchall()
    return [(row[0], row[1]) for row in rows]


async def count_ahead(connection: Connection, released: Sequence[tuple[UUID, int]]) -> int:
    """How many of these released attempts are newer than their rows, which proves that commits were lost."""
    values = {
        "recipients": [recipient for recipient, _ in released],
        "attempts": [attempt for _, attempt in released],
    }
    row = await (await connection.execute(_SQL["find_ahead"], values)).fetchone()
    return 0 if row is None else int(row[0])


async def declare_lost(connection: Connection, released: Sequence[tuple[UUID, int]]) -> int:
    """Declare released attempts without an outcome unknown; returns their number."""
    values = {
        "recipients": [recipient for recipient, _ in released],
        "attempts": [attempt for _, attempt in released],
        "producer": PRODUCER,
    }
    row = await (await connection.execute(_SQL["declare_lost"], values)).fetchone()
    return 0 if row is None else int(row[0])
