"""Reads everything that the database contains about one recipient."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tables.database import Connection
from tables.statements import load

_SQL = load("trace")

Row = dict[str, Any]
"""One row by column name."""


async def find_by_id(connection: Connection, recipient: UUID) -> list[UUID]:
    """The recipient with this id, if there is one."""
    return await _ids(connection, "find_by_id", {"id": recipient})


async def find_by_person(connection: Connection, person: str) -> list[UUID]:
    """The recipients who are this person, in all campaigns."""
    return await _ids(connection, "find_by_person", {"person": person})


async def find_by_wamid(connection: Connection, wamid: str) -> list[UUID]:
    """The recipients of this message."""
    return await _ids(connection, "find_by_wamid", {"wamid": wamid})


async def read_recipient(connection: Connection, recipient: UUID) -> Row | None:
    """The row, with its campaign."""
    rows = await _rows(connection, "read_recipient", {"id": recipient})
    return rows[0] if rows else None


async def read_releases(connection: Connection, recipient: UUID) -> list[Row]:
    """The releases of a recipient, by attempt."""
    return await _rows(connection, "read_releases", {"id": recipient})


async def read_ledger(connection: Connection, recipient: UUID) -> list[Row]:
    """The ledger rows of a recipient, by attempt."""
    return await _rows(connection, "read_ledger", {"id": recipient})


async def read_messages(connection: Connection, recipient: UUID) -> list[Row]:
    """The wamids of a recipient, by attempt."""
    return await _rows(connection, "read_messages", {"id": recipient})


async def read_subscriptions(connection: Connection, person: str) -> list[Row]:
    """The subscriptions of a person, by source."""
    return await _rows(connection, "read_subscriptions", {"person": person})


async def _ids(connection: Connection, name: str, values: dict[str, Any]) -> list[UUID]:
    return [row[0] for row in await (await connection.execute(_SQL[name], values)).fetchall()]


async def _rows(connection: Connection, name: str, values: dict[str, Any]) -> list[Row]:
    cursor = await connection.execute(_SQL[name], values)
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]
