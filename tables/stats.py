"""Counters of campaigns: fold, read, publish, recount. Triggers write the deltas; only `recount` reads recipients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.days import UnknownTimeZone, day_of
from domain.eta import Pace, eta, handled_per_s
from domain.lifecycle import CampaignStatus
from domain.portfolio import BudgetOutlook, people_before
from domain.stats import campaign_stats
from domain.windows import WHOLE_DAY, InvalidWindow, SendingWindow, make_window
from schemas.codec import PRODUCER
from schemas.model import CampaignId
from schemas.stats import CampaignProgress, CampaignStats
from schemas.timeline import CampaignMinute
from tables import portfolio
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

SQL = load("stats")

FIRST_PLACE = "(0,0)"
"""The place before the first delta of the table."""
FOLD_ROWS = 20_000
"""Deltas in one chunk: about 0.1 s."""
FOLD_CHUNKS_MAX = 20
"""Chunks of one call, so that a backlog does not keep the stats publisher from publishing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that differs from the rows."""

    dimension: str
    key: str
    stored: int
    counted: int
    """The value counted from the rows."""


@dataclass(frozen=True, slots=True)
class Minute:
    """How many messages changed in a minute. A failed one that is sent again counts negatively."""

    minute: datetime
    sent: int
    delivered: int
    read: int
    failed: int
    replied: int = 0


async def fold(connection: Connection, after: str = FIRST_PLACE, *, rows_max: int = FOLD_ROWS) -> str:
    """Move deltas into the counters, chunk by chunk; returns the place from which the next call continues.

    It begins after a place in the table of deltas, and stops at its end or after `FOLD_CHUNKS_MAX` chunks. Each chunk
    is one statement and commits on its own on an autocommit connection.
    """
    for _ in range(FOLD_CHUNKS_MAX):
        cursor = await connection.execute(SQL["fold_deltas"], {"after": after, "rows_max": rows_max})
        row = await cursor.fetchone()
        assert row is not None
        count, last = row
        if count < rows_max:
            return FIRST_PLACE
        after = last
    return after


async def read(connection: Connection, ids: Sequence[CampaignId]) -> dict[CampaignId, CampaignProgress]:
    """Exact stats of these campaigns at the time of the statement, and their estimated ends.

    Campaigns that do not exist are missing.
    """
    rows = await (await connection.execute(SQL["read_stats"], {"ids": plain(ids)})).fetchall()
    has_active = any(row[2] == CampaignStatus.ACTIVE for row in rows)
    outlook = await portfolio.read_outlook(connection) if has_active else None
    waiting: dict[UUID, int] = {}
    if outlook is not None:
        waiting = dict(await (await connection.execute(SQL["read_waiting"])).fetchall())
    return {row[0]: _progress(row, outlook, waiting) for row in rows}


async def read_one(connection: Connection, campaign: UUID) -> CampaignProgress:
    """The same of one campaign that exists."""
    return (await read(connection, [CampaignId(campaign)]))[CampaignId(campaign)]


async def read_timeline(connection: Connection, campaign: UUID, limit: int) -> list[Minute]:
    """The last minutes in which the counters of a campaign changed, the oldest first."""
    cursor = await connection.execute(SQL["read_timeline"], {"campaign": campaign, "limit": limit})
    return [Minute(*row) for row in reversed(await cursor.fetchall())]


async def read_unpublished_minutes(connection: Connection, rows_max: int) -> list[CampaignMinute]:
    """Minutes whose last version is not published, the oldest first."""
    cursor = await connection.execute(SQL["read_unpublished_minutes"], {"rows_max": rows_max})
    return [_minute(row) for row in await cursor.fetchall()]


async def mark_minutes_published(connection: Connection, minutes: Sequence[CampaignMinute]) -> None:
    """Mark these versions of minutes as published: Kafka has acknowledged them."""
    parameters = {
        "ids": plain(each.campaign_id for each in minutes),
        "minutes": [each.minute for each in minutes],
        "versions": plain(each.version for each in minutes),
    }
    await connection.execute(SQL["mark_minutes_published"], parameters)


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


async def mark_refused(connection: Connection, snapshots: Sequence[CampaignStats]) -> None:
    """Record that Kafka cannot take these snapshots. The next version of each campaign is published again."""
    parameters = {
        "ids": plain(snapshot.campaign_id for snapshot in snapshots),
        "versions": plain(snapshot.version for snapshot in snapshots),
    }
    await connection.execute(SQL["mark_refused"], parameters)


async def read_deleted(connection: Connection, rows_max: int) -> list[CampaignId]:
    """Deleted campaigns whose last snapshot is still in the topic."""
    cursor = await connection.execute(SQL["read_deleted"], {"rows_max": rows_max})
    return [CampaignId(row[0]) for row in await cursor.fetchall()]


async def forget_deleted(connection: Connection, ids: Sequence[CampaignId]) -> None:
    """Forget deleted campaigns: Kafka has acknowledged the deletion of their snapshots."""
    await connection.execute(SQL["forget_deleted"], {"ids": plain(ids)})


async def recount(connection: Connection, campaign_id: CampaignId) -> list[Difference]:
    """Compare the counters of a campaign with its rows, in one snapshot. An empty list proves that they are equal."""
    cursor = await connection.execute(SQL["recount"], {"id": campaign_id})
    return [Difference(*row) for row in await cursor.fetchall()]


def _stats(row: Sequence[Any]) -> CampaignStats:
    campaign_id, name, status, version, as_of, counters = row
    return campaign_stats(campaign_id, name, status, counters, version=version, as_of=as_of, producer=PRODUCER)


def _minute(row: Sequence[Any]) -> CampaignMinute:
    campaign_id, minute, sent, delivered, read_, failed, replied, version = row
    return CampaignMinute(producer=PRODUCER, campaign_id=campaign_id, minute=minute, sent=sent, delivered=delivered,
                          read=read_, failed=failed, replied=replied, version=version)  # fmt: skip


def _progress(row: Sequence[Any], outlook: BudgetOutlook | None, waiting: Mapping[UUID, int]) -> CampaignProgress:
    snapshot = _stats(row[:6])
    time_zone, daily_limit, used, since, handled, start_at, has_canary, *window = row[6:]
    pace = Pace(
        per_s=handled_per_s(handled, since, snapshot.as_of),
        time_zone=time_zone,
        daily_limit=daily_limit,
        used_today=used.get(_day(snapshot.as_of, time_zone), 0),
        window=_window(window),
        start_at=start_at,
        budget_at=_budget_at(snapshot, outlook, waiting),
        has_canary=has_canary,
    )
    end = eta(snapshot.status, snapshot.pending, snapshot.queued, pace, snapshot.as_of)
    return CampaignProgress(**dict(snapshot), eta=end)


def _budget_at(snapshot: CampaignStats, outlook: BudgetOutlook | None, waiting: Mapping[UUID, int]) -> datetime | None:
    """When the budget of the portfolio lets the last recipient through; None: there is no budget."""
    if outlook is None:
        return None
    others = (n for campaign, n in waiting.items() if campaign != snapshot.campaign_id)
    return outlook.lets_through(people_before(snapshot.pending, others), snapshot.as_of)


def _window(values: Sequence[Any]) -> SendingWindow:
    try:
        return make_window(*values)
    except InvalidWindow:  # the scheduler pauses such a campaign
        return WHOLE_DAY


def _day(now: datetime, time_zone: str) -> str | None:
    try:
        return day_of(now, time_zone).date.isoformat()
    except UnknownTimeZone:  # such a campaign sends nothing, so it has no budget and no estimate
        return None
