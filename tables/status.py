"""Reads what `campaigns status` shows from Postgres. Each query counts by an index or reads a small table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import errors

from tables.database import Connection
from tables.statements import load

SQL = load("status")
OTHER_SCHEMA = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
"""Errors of PostgreSQL that mean a missing or a different schema."""


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """An active or paused campaign."""

    id: UUID
    name: str
    status: str
    pause_reason: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts of what waits in Postgres, in the order of the statement `read_backlog`."""

    parked: int
    parked_since: datetime | None
    released: int
    """Attempts that active campaigns released and that no sender has claimed or refused."""
    released_since: datetime | None
    in_flight: int
    past_lease: int
    unpublished: int
    """Send results in the ledger that are not yet published to Kafka."""
    unpublished_since: datetime | None
    double_sends: int
    unknown: int


async def read_backlog(connection: Connection) -> Backlog:
    """Count what waits."""
    row = await (await connection.execute(SQL["read_backlog"])).fetchone()
    assert row is not None
    return Backlog(*row)


async def list_open_campaigns(connection: Connection) -> tuple[OpenCampaign, ...]:
    """List active and paused campaigns."""
    return tuple(OpenCampaign(*row) for row in await (await connection.execute(SQL["list_open_campaigns"])).fetchall())


async def list_active_campaigns(connection: Connection) -> list[UUID]:
    """List the ids of active campaigns."""
    return [row[0] for row in await (await connection.execute(SQL["list_active"])).fetchall()]


async def count_sessions(connection: Connection) -> Mapping[str, int]:
    """Count the database sessions of our processes, by application name."""
    return dict(await (await connection.execute(SQL["count_sessions"], {})).fetchall())


async def list_held_locks(connection: Connection) -> set[int]:
    """List the keys of the advisory locks that are held in this database."""
    return {row[0] for row in await (await connection.execute(SQL["list_locks"])).fetchall()}
