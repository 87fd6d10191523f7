"""The statements of `campaigns status`. Each uses an index or reads a small table, so it is fast under any load."""

from __future__ import annotations

from typing import Any

from psycopg import errors

from tables.database import Connection
from tables.schema_version import WrongSchema
from tables.statements import load

_SQL = load("status")
SILENT_S = 600.0
"""WhatsApp sends the status `sent` within seconds of its answer. After so long it is missing."""
DAY_S = 86_400.0
"""A missing webhook is reported for so long after the message. Kafka keeps webhooks for longer."""
OTHER_SCHEMA = (WrongSchema, errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)
"""Errors of PostgreSQL that mean a missing or a different schema."""


async def read_backlog(connection: Connection) -> tuple[Any, ...]:
    """The counts and oldest times of everything that waits, in the order of the statement's columns."""
    row = await (await connection.execute(_SQL["read_backlog"])).fetchone()
    assert row is not None
    return row


async def read_sending(connection: Connection) -> tuple[Any, ...]:
    """The messages accepted in the last minute, when the last was, and when the last before `SILENT_S` was."""
    row = await (await connection.execute(_SQL["read_sending"], {"silent_s": SILENT_S, "day_s": DAY_S})).fetchone()
    assert row is not None
    return row


async def list_open_campaigns(connection: Connection) -> list[tuple[Any, ...]]:
    """Active and paused campaigns: id, name, status, pause reason, time of the last change."""
    return await (await connection.execute(_SQL["list_open_campaigns"])).fetchall()


async def count_sessions(connection: Connection) -> dict[str, int]:
    """The number of other sessions of ours in this database, by application name."""
    return dict(await (await connection.execute(_SQL["count_sessions"], {})).fetchall())


async def list_locks(connection: Connection) -> set[int]:
    """The keys of all advisory locks that are held in this database."""
    return {row[0] for row in await (await connection.execute(_SQL["list_locks"])).fetchall()}
