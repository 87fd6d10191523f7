"""Reads what Postgres holds about one recipient: its row, releases, ledger, message ids and subscriptions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from schemas.model import RecipientId
from tables.database import Connection
from tables.statements import load

SQL = load("trace")

Row = dict[str, Any]
"""A row by column name."""


async def find_by_wamid(connection: Connection, wamid: str) -> list[RecipientId]:
    """Find the recipient of a message id."""
    return await _find(connection, "find_by_wamid", {"wamid": wamid})


async def find_by_id(connection: Connection, recipient: UUID) -> list[RecipientId]:
    """Find the recipient with this id."""
    return await _find(connection, "find_by_id", {"id": str(recipient)})


async def find_by_phone(connection: Connection, number: str) -> list[RecipientId]:
    """Find the recipients with this phone number, one per campaign."""
    return await _find(connection, "find_by_phone", {"phone": number})


async def read_recipient(connection: Connection, recipient: RecipientId) -> Row | None:
    """Read the row of a recipient with its campaign; None if it does not exist."""
    rows = await _rows(connection, "read_recipient", {"id": recipient})
    return rows[0] if rows else None


async def read_releases(connection: Connection, recipient: RecipientId) -> list[Row]:
    """Read the attempts that are released and not claimed."""
    return await _rows(connection, "read_releases", {"id": recipient})


async def read_ledger(connection: Connection, recipient: RecipientId) -> list[Row]:
    """Read the attempts that were claimed or refused."""
    return await _rows(connection, "read_ledger", {"id": recipient})


async def read_messages(connection: Connection, recipient: RecipientId) -> list[Row]:
    """Read the message ids of a recipient."""
    return await _rows(connection, "read_messages", {"id": recipient})


async def read_subscriptions(connection: Connection, number: str) -> list[Row]:
    """Read the subscription state of a phone number, by source."""
    return await _rows(connection, "read_subscriptions", {"phone": number})


async def _find(connection: Connection, name: str, values: dict[str, Any]) -> list[RecipientId]:
    return [row[0] for row in await (await connection.execute(SQL[name], values)).fetchall()]


async def _rows(connection: Connection, name: str, values: dict[str, Any]) -> list[Row]:
    cursor = await connection.execute(SQL[name], values)
    columns = [column.name for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in await cursor.fetchall()]
