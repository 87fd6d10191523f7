"""Counters of campaigns: fold, read, publish, recount. Triggers write the deltas; only `recount` reads recipients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.stats import campaign_stats
from schemas.codec import PRODUCER
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

SQL = load("stats")


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that differs from the rows."""

    dimension: str
    key: str
    told: int
    """The value of the counter. `campaigns verify --json` has it under this name."""
    counted: int
    """The value counted from the rows."""


async def fold(connection: Connection) -> int:
    """Move all deltas into the counters; returns how many campaigns got a new version."""
    cursor = await connection.execute(SQL["fold_deltas"])
    return cursor.rowcount


async def read(connection: Connection, ids: Sequence[CampaignId]) -> dict[CampaignId, CampaignStats]:
    """Exact stats of these campaigns at the time of the statement. Campaigns that do not exist are missing."""
    cursor = await connection.execute(SQL["read_stats"], {"ids": plain(ids)})
    return {row[0]: _stats(row) for row in await cursor.fetchall()}


async def read_unpublished(connection: Connection, rows_max: int) -> list[CampaignStats]:
    """Folded snapshots whose version is not published, the oldest first."""
    cursor = await connection.execute(SQL["read_unpublished"], {"rows_max": rows_max})
    return [_stats(row) for row in await cursor.fetchall()]


async def mark_published(connection: Connection, snapshots: Sequence[CampaignStats]) -> None:
    """Mark these snapshots as published: Kafka has acknowledged them."""
    parameters = {
        "ids": plain(snapshot.campaign_id for snapshot in snapshots),
        "versions": plain(snapshot.version for snapshot in snapshots),
    }
    await connection.execute(SQL["mark_published"], parameters)


async def recount(connection: Connection, campaign_id: CampaignId) -> list[Difference]:
    """Compare the counters of a campaign with its rows, in one snapshot. An empty list proves that they are equal."""
    cursor = await connection.execute(SQL["recount"], {"id": campaign_id})
    return [Difference(*row) for row in await cursor.fetchall()]


def _stats(row: Sequence[Any]) -> CampaignStats:
    campaign_id, name, status, version, as_of, counters = row
    return campaign_stats(campaign_id, name, status, counters, version=version, as_of=as_of, producer=PRODUCER)
