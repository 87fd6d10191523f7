"""The statements of the audit: it compares counters, rows and ledger in one read-only snapshot, without locks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from schemas.model import CampaignId
from tables import stats
from tables.database import Connection
from tables.statements import load

_SQL = load("audit")


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """One read-only snapshot for every statement inside. It does not block writers."""
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    try:
        async with connection.transaction():
            yield
    finally:
        await connection.set_isolation_level(None)
        await connection.set_read_only(None)


async def read_time(connection: Connection) -> datetime:
    """The time of the snapshot."""
    row = await (await connection.execute(_SQL["read_time"])).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


@dataclass(frozen=True, slots=True)
class PrunedRows:
    """The rows that retention has deleted from a table, and the time of the youngest one."""

    table: str
    n: int
    newest_at: datetime


async def read_pruned(connection: Connection) -> list[PrunedRows]:
    """What retention has deleted so far."""
    return [PrunedRows(*row) for row in await (await connection.execute(_SQL["read_pruned"])).fetchall()]


async def list_campaigns(connection: Connection, campaign: UUID | None) -> list[CampaignId]:
    """The ids of all campaigns, or of this one."""
    cursor = await connection.execute(_SQL["list_campaigns"], {"campaign": campaign})
    return [row[0] for row in await cursor.fetchall()]


async def run_check(connection: Connection, check: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    """The findings of one check: campaign, recipient, attempt, text, and the number of all findings."""
    return await (await connection.execute(_SQL[check], values)).fetchall()


async def correct_counters(connection: Connection, campaign: CampaignId) -> list[stats.Difference]:
    """Recount a campaign and add the differences as deltas, in one snapshot; returns the differences.

    Only deltas are added, so the changes of concurrent writers are kept.
    """
    await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
    try:
        async with connection.transaction():
            differences = await stats.recount(connection, campaign)
            values = {
                "campaign": campaign,
                "dimensions": [each.dimension for each in differences],
                "keys": [each.key for each in differences],
                "corrections": [each.counted - each.stored for each in differences],
            }
            await connection.execute(_SQL["correct_counters"], values)
            return differences
    finally:
        await connection.set_isolation_level(None)
