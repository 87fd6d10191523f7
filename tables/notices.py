"""Pauses campaigns because of what Meta reports by webhook (`domain.notices`)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from schemas.control import ControlEvent
from tables.arrays import text, times
from tables.database import Connection
from tables.statements import load

_SQL = load("notices")


async def pause_reported(connection: Connection, reports: Sequence[ControlEvent]) -> list[tuple[UUID, str]]:
    """Pause the active campaigns that these reports stop: id and reason. Repeating it pauses nothing else.

    Raises psycopg.Error, also if a campaign stays locked.
    """
    if not reports:
        return []
    values = {
        "scopes": text(each.scope for each in reports),
        "keys": text(each.key for each in reports),
        "reasons": text(each.reason or "Meta gave no reason" for each in reports),
        "times": times(each.occurred_at for each in reports),
    }
    cursor = await connection.execute(_SQL["pause_reported"], values)
    return [(row[0], row[1]) for row in await cursor.fetchall()]
