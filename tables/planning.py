"""Plans the recipients of a campaign over its days, chunk by chunk, while the campaign may be paused at any time.

A campaign with recipients without a planned time has `planning` set. The activation and the adding of recipients set
it and plan one chunk; the scheduler's leader plans the rest. A chunk costs the same in a small and in a large campaign,
because the counts per day are in a table. A planner holds an advisory lock of the campaign and locks of its recipients,
and no lock that a pause or a cancellation needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from psycopg.pq import TransactionStatus

from domain.days import Day, UnknownTimeZone, day_of
from domain.spreading import Slot, spread
from schemas.reasons import PauseReason
from tables.arrays import plain, times
from tables.database import Connection
from tables.releases import pause_broken
from tables.statements import load

_SQL = load("planning")

CHUNK_ROWS = 10_000
"""Recipients planned at once by a request. Far below the statement timeout."""
CAMPAIGNS_MAX = 100
FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """The result of a chunk. `next` is where the next one begins; None: nothing is left to plan here and now."""

    planned: int
    next: UUID | None


async def request(connection: Connection, campaign: UUID) -> None:
    """Record that a campaign has recipients to plan, in the transaction that added or activated them."""
    await connection.execute(_SQL["request_plan"], {"campaign": campaign})


async def find_planning(connection: Connection) -> list[UUID]:
    """Campaigns with recipients to plan."""
    return [
        row[0] for row in await (await connection.execute(_SQL["find_planning"], {"limit": CAMPAIGNS_MAX})).fetchall()
    ]


async def plan_now(connection: Connection, campaign: UUID) -> None:
    """Plan the first chunk at once, so that a small campaign is planned when the request is answered.

    Inside a transaction of the caller everything is left to the scheduler: the locks of that transaction would be held
    meanwhile.
    """
    if connection.info.transaction_status is TransactionStatus.IDLE:
        await plan_chunk(connection, campaign)


async def plan_chunk(
    connection: Connection, campaign: UUID, limit: int = CHUNK_ROWS, after: UUID = FIRST_ID
) -> PlannedChunk:
    """Plan a chunk of recipients, the earliest added first. A recipient that is locked is left to a later pass.

    A campaign with an unknown time zone is paused with the reason.
    """
    try:
        async with connection.transaction():
            ids = await _plan(connection, campaign, limit, after)
    except UnknownTimeZone:
        await pause_broken(connection, campaign, PauseReason.INVALID_TIME_ZONE)
        return PlannedChunk(0, None)
    if len(ids) < limit:
        await _end(connection, campaign)
    return PlannedChunk(len(ids), ids[-1] if len(ids) == limit else None)


async def _end(connection: Connection, campaign: UUID) -> None:
    async with connection.transaction():
        await connection.execute(_SQL["lock_planned"], {"campaign": campaign})
        await connection.execute(_SQL["end_plan"], {"campaign": campaign})


async def _plan(connection: Connection, campaign: UUID, limit: int, after: UUID) -> list[UUID]:
    values = {"campaign": campaign, "after": after, "limit": limit}
    locked = await (await connection.execute(_SQL["try_plan_lock"], values)).fetchone()
    found = await (await connection.execute(_SQL["read_limit"], values)).fetchone()
    if locked is None or not locked[0] or found is None:
        return []
    daily_limit, zone_name, now = found
    today = day_of(now, zone_name)
    ids: list[UUID] = [row[0] for row in await (await connection.execute(_SQL["lock_unplanned"], values)).fetchall()]
    if not ids:
        return []
    planned = {} if daily_limit is None else await _taken(connection, campaign, today, daily_limit)
    slots = spread(len(ids), now=now, today=today, zone_name=zone_name, daily_limit=daily_limit, planned=planned)
    await connection.execute(_SQL["plan_recipients"], {"ids": plain(ids), "times": times(_each(slots))})
    later = [(day_of(slot.at, zone_name).date, slot.count) for slot in slots if slot.at >= today.ends_at]
    if later:
        days = {"days": [day for day, _ in later], "counts": [count for _, count in later]}
        await connection.execute(_SQL["add_to_days"], {"campaign": campaign, **days})
    return ids


async def _taken(connection: Connection, campaign: UUID, today: Day, limit: int) -> dict[date, int]:
    """How many recipients each day has already. Overdue recipients count for today."""
    values = {"campaign": campaign, "today": today.date, "ends_at": today.ends_at, "limit": limit}
    taken: dict[date, int] = dict(await (await connection.execute(_SQL["read_days"], values)).fetchall())
    row = await (await connection.execute(_SQL["count_today"], values)).fetchone()
    assert row is not None
    return {**taken, today.date: int(row[0])}


def _each(slots: Sequence[Slot]) -> list[datetime]:
    return [slot.at for slot in slots for _ in range(slot.count)]
