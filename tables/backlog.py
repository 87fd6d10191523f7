"""What waits in Postgres, and how much of the budgets is used: the figures behind the gauges of the scheduler's leader.

Each statement reads a limited number of rows by an index, so a count above its limit is shown as the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from domain.days import Day, UnknownTimeZone, day_of
from tables.database import Connection
from tables.releases import read_days_used
from tables.statements import load

_SQL = load("backlog")
ROWS_MAX = 10_000
"""No count is above this."""
NUMBERS_MAX = 50
"""Most numbers that are shown: those with the most released attempts."""
CAMPAIGNS_MAX = 500
"""Most active campaigns whose daily limits are added up."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Counts and ages in seconds, in the order of the statement; the age of nothing is 0."""

    parked: int
    parked_s: float
    foreign_today: int
    """Statuses of other systems on our numbers, since midnight UTC."""
    unknown: int
    """Recipients whose newest attempt has an unknown outcome, by the folded counters."""
    past_lease: int
    unpublished: int
    unpublished_s: float
    held: int
    """Events that wait because another session has locked their recipients."""
    is_unrecovered: bool
    """Whether nothing is sent, because an operator has not confirmed the history of the database."""


@dataclass(frozen=True, slots=True)
class DailyBudgets:
    """The daily limits of the active campaigns, added up."""

    used: int
    limit: int
    exhausted: int
    """Campaigns that have used their limit of today."""


async def count_waiting(connection: Connection) -> Waiting:
    """Count what waits."""
    row = await (await connection.execute(_SQL["count_waiting"], {"rows_max": ROWS_MAX})).fetchone()
    assert row is not None
    parked, parked_s, foreign, unknown, past_lease, unpublished, unpublished_s, held, is_unrecovered = row
    return Waiting(
        parked,
        float(parked_s or 0),
        foreign,
        unknown,
        past_lease,
        unpublished,
        max(0.0, float(unpublished_s or 0)),
        held,
        is_unrecovered,
    )


async def count_released(connection: Connection) -> dict[str, tuple[int, float]]:
    """Per phone number id: the attempts that are released and not claimed, and the age of the oldest in seconds."""
    values = {"rows_max": ROWS_MAX, "numbers_max": NUMBERS_MAX}
    cursor = await connection.execute(_SQL["count_released"], values)
    return {number: (count, max(0.0, float(age_s))) for number, count, age_s in await cursor.fetchall()}


async def read_daily_budgets(connection: Connection) -> DailyBudgets:
    """Add up the budgets of today, which is another date in another time zone."""
    cursor = await connection.execute(_SQL["list_limited"], {"campaigns_max": CAMPAIGNS_MAX})
    limits: dict[UUID, int] = {}
    days: dict[UUID, date] = {}
    for campaign, zone_name, limit, now in await cursor.fetchall():
        try:
            day: Day = day_of(now, zone_name)
        except UnknownTimeZone:  # the release pauses such a campaign
            continue
        limits[campaign], days[campaign] = limit, day.date
    used = await read_days_used(connection, days)
    return DailyBudgets(
        used=sum(min(used.get(campaign, 0), limit) for campaign, limit in limits.items()),
        limit=sum(limits.values()),
        exhausted=sum(used.get(campaign, 0) >= limit for campaign, limit in limits.items()),
    )
