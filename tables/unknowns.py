"""Finds recipients whose newest attempt is unknown."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from tables.database import Connection
from tables.statements import load

_SQL = load("unknowns")


async def find_unknown(
    connection: Connection, campaign: UUID | None, ids: Collection[UUID] | None, limit: int
) -> tuple[list[tuple[Any, ...]], int]:
    """Rows of unknown recipients, the oldest first, and the number of all of them."""
    values = {"campaign": campaign, "ids": None if ids is None else list(ids), "limit": limit}
    rows = await (await connection.execute(_SQL["find_unknown"], values)).fetchall()
    return [row[:-1] for row in rows], rows[0][-1] if rows else 0
