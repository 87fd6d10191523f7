"""Budget of a day that is given back later, because another session had locked the day (`give_budget_back`)."""

from __future__ import annotations

from tables.database import Connection
from tables.statements import load

_SQL = load("budget_returns")
FIRST = 0
"""The place before all returns."""


async def apply_returns(connection: Connection, after: int, limit: int) -> int:
    """Subtract a page of returns from their days; returns the place of the next page, which is FIRST after the last."""
    row = await (await connection.execute(_SQL["apply_returns"], {"after": after, "limit": limit})).fetchone()
    assert row is not None
    last, size = row
    return int(last) if size == limit else FIRST
