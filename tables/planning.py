"""Plans the recipients of a campaign over its days, chunk by chunk, while the campaign may be paused at any time.

A campaign with recipients without a planned time has `planning` set. The activation and the adding of recipients set
it and plan one chunk; the scheduler's leader plans the rest. A chunk costs the same in a small and in a large campaign,
because the counts per day are in a table. A planner holds an advisory lock of the campaign and locks of its recipients,
and no lock that a pause or a cancellation needs.

A new daily limit makes a new plan, and sets `replanning` too. First all recipients that are not released leave the old
plan, the latest first; then they are planned like new ones. Until then the earliest ones may still be released, and the
budget of the day keeps the new limit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

from psycopg.pq import TransactionStatus

from domain.days import Day, UnknownTimeZone, day_of
from domain.phone_numbers import clock_country
from domain.spreading import Slot, spread
from domain.windows import Weekday, WindowZone
from schemas.reasons import PauseReason
from tables.arrays import plain, times
from tables.database import Connection
from tables.release_memory import FIRST_ID, LAST_ID, Place
from tables.releases import pause_broken
from tables.statements import load

_SQL = load("planning")

CHUNK_ROWS = 10_000
"""Recipients planned at once by a request. Far below the statement timeout."""
CHECK_ROWS = 10_000
"""Recipients of a page that is checked before a plan ends. A page takes some 10 ms."""
CAMPAIGNS_MAX = 100


_LATEST: Place = (datetime(9999, 1, 1, tzinfo=UTC), FIRST_ID)


@dataclass(frozen=True, slots=True)
class PlanPlace:
    """Where the next chunk of a plan begins. It is valid for one daily limit."""

    daily_limit: int | None
    after: UUID = FIRST_ID
    """The last recipient that was planned."""
    before: Place = _LATEST
    """The last recipient that left the old plan."""
    checked: UUID | None = None
    """At the end of the plan: everybody up to this recipient has a time. None: the end is not reached."""


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """The result of a chunk. `next` is where the next one begins; None: nothing is left to plan here and now."""

    planned: int
    next: PlanPlace | None
    unplanned: int | None = None
    """The recipients that left the old plan; None: the chunk belongs to the new one."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The campaign of a chunk, and the time of the chunk."""

    campaign: UUID
    daily_limit: int | None
    zone_name: str
    now: datetime
    begins_at: datetime
    """The first planned time: now, or the start of the campaign."""
    first_day: Day
    is_replanning: bool
    weekdays: frozenset[Weekday]
    follows: bool
    """The window follows the clocks of the recipients' countries."""


async def request(connection: Connection, campaign: UUID) -> None:
    """Record that a campaign has recipients to plan, in the transaction that added or activated them."""
    await connection.execute(_SQL["request_plan"], {"campaign": campaign})


async def request_new_plan(connection: Connection, campaign: UUID) -> None:
    """Record that the old plan of a campaign is void, in the transaction that changed its limit."""
    await connection.execute(_SQL["request_new_plan"], {"campaign": campaign})


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
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        return
    chunk = await plan_chunk(connection, campaign)
    if chunk.unplanned is not None and chunk.unplanned < CHUNK_ROWS:
        await plan_chunk(connection, campaign)


async def plan_chunk(
    connection: Connection, campaign: UUID, limit: int = CHUNK_ROWS, place: PlanPlace | None = None
) -> PlannedChunk:
    """Plan a chunk of recipients, the earliest added first. A recipient that is locked is left to a later pass.

    Of a campaign with an old plan, the chunk leaves that plan instead, the latest planned first. A campaign with an
    unknown time zone is paused with the reason.
    """
    try:
        async with connection.transaction():
            plan = await _begin(connection, campaign)
            if plan is None:
                return PlannedChunk(0, None)
            if place is None or place.daily_limit != plan.daily_limit:
                place = PlanPlace(plan.daily_limit)
            if plan.is_replanning:
                left = await _leave_old_plan(connection, plan, place, limit)
            elif place.checked is not None:
                return await _check(connection, plan, place.checked)
            else:
                ids = await _plan(connection, plan, place, limit)
    except UnknownTimeZone:
        await pause_broken(connection, campaign, PauseReason.INVALID_TIME_ZONE)
        return PlannedChunk(0, None)
    if plan.is_replanning:
        if len(left) == limit:
            return PlannedChunk(0, PlanPlace(plan.daily_limit, before=left[-1]), len(left))
        await connection.execute(_SQL["end_old_plan"], {"campaign": campaign})
        return PlannedChunk(0, PlanPlace(plan.daily_limit), len(left))
    if len(ids) == limit:
        return PlannedChunk(len(ids), PlanPlace(plan.daily_limit, after=ids[-1]))
    if place.after != FIRST_ID:
        return PlannedChunk(len(ids), PlanPlace(plan.daily_limit, checked=FIRST_ID))
    await _end(connection, campaign)
    return PlannedChunk(len(ids), None)


async def _begin(connection: Connection, campaign: UUID) -> _Plan | None:
    """Become the only planner of the campaign. None: there is another one, or nothing to plan."""
    values = {"campaign": campaign}
    locked = await (await connection.execute(_SQL["try_plan_lock"], values)).fetchone()
    if locked is None or not locked[0]:
        return None
    found = await (await connection.execute(_SQL["read_limit"], values)).fetchone()
    if found is None:
        return None
    daily_limit, zone_name, now, start_at, is_replanning, weekdays, whose = found
    begins_at = now if start_at is None else max(now, start_at)
    return _Plan(
        campaign=campaign,
        daily_limit=daily_limit,
        zone_name=zone_name,
        now=now,
        begins_at=begins_at,
        first_day=day_of(begins_at, zone_name),
        is_replanning=is_replanning,
        weekdays=frozenset(Weekday(day) for day in weekdays),
        follows=whose == WindowZone.RECIPIENT,
    )


async def _check(connection: Connection, plan: _Plan, checked: UUID) -> PlannedChunk:
    """Check a page of recipients before the plan ends, or end it after the last page.

    The end itself must check all of them while it holds the lock of the campaign. It is quick if a scan has met every
    entry of the index before. A recipient without a time was locked, or was added late: the next pass plans it.
    """
    values = {"campaign": plan.campaign, "after": checked, "rows": CHECK_ROWS - 1, "top": LAST_ID}
    row = await (await connection.execute(_SQL["check_page"], values)).fetchone()
    assert row is not None
    is_incomplete, last = row
    if is_incomplete:
        return PlannedChunk(0, None)
    if last is None:
        await _end(connection, plan.campaign)
        return PlannedChunk(0, None)
    return PlannedChunk(0, PlanPlace(plan.daily_limit, checked=last))


async def _end(connection: Connection, campaign: UUID) -> None:
    async with connection.transaction():
        await connection.execute(_SQL["lock_planned"], {"campaign": campaign})
        await connection.execute(_SQL["end_plan"], {"campaign": campaign})


async def _plan(connection: Connection, plan: _Plan, place: PlanPlace, limit: int) -> list[UUID]:
    values = {"campaign": plan.campaign, "after": place.after, "limit": limit}
    rows = await (await connection.execute(_SQL["lock_unplanned"], values)).fetchall()
    if not rows:
        return []
    ids: list[UUID] = [row[0] for row in rows]
    countries = [clock_country(row[1]) if plan.follows else None for row in rows]
    planned = (
        {} if plan.daily_limit is None else await _taken(connection, plan.campaign, plan.first_day, plan.daily_limit)
    )
    slots = spread(
        len(ids), now=plan.begins_at, today=plan.first_day, zone_name=plan.zone_name, daily_limit=plan.daily_limit,
        planned=planned, weekdays=plan.weekdays,
    )  # fmt: skip
    await connection.execute(
        _SQL["plan_recipients"], {"ids": plain(ids), "times": times(_each(slots)), "countries": countries}
    )
    if plan.follows:
        values = {"campaign": plan.campaign, "countries": sorted({each for each in countries if each is not None})}
        await connection.execute(_SQL["add_countries"], values)
    counts = {day_of(slot.at, plan.zone_name).date: slot.count for slot in slots if slot.at >= plan.first_day.ends_at}
    await _count_days(connection, "add_to_days", plan.campaign, counts)
    return ids


async def _leave_old_plan(connection: Connection, plan: _Plan, place: PlanPlace, limit: int) -> list[Place]:
    before_at, before_id = place.before
    values = {"campaign": plan.campaign, "before_at": before_at, "before_id": before_id, "limit": limit}
    rows = await (await connection.execute(_SQL["lock_old_plan"], values)).fetchall()
    if rows:
        await connection.execute(_SQL["unplan_recipients"], {"ids": plain(row[0] for row in rows)})
        await leave_days(connection, plan.campaign, [at for _, at in rows], plan.now, plan.zone_name)
    return [(at, recipient) for recipient, at in rows]


async def leave_days(
    connection: Connection, campaign: UUID, planned: Sequence[datetime], now: datetime, zone_name: str
) -> None:
    """Count recipients out of the later days that they were planned for, in the transaction that takes them away.

    Raises UnknownTimeZone.
    """
    today = day_of(now, zone_name)
    counts = Counter(day_of(at, zone_name).date for at in planned if at >= today.ends_at)
    await _count_days(connection, "take_from_days", campaign, counts)


async def _count_days(connection: Connection, statement: str, campaign: UUID, counts: Mapping[date, int]) -> None:
    if counts:
        values = {"campaign": campaign, "days": list(counts), "counts": list(counts.values())}
        await connection.execute(_SQL[statement], values)


async def _taken(connection: Connection, campaign: UUID, today: Day, limit: int) -> dict[date, int]:
    """How many recipients each day has already. Overdue recipients count for today."""
    values = {"campaign": campaign, "today": today.date, "ends_at": today.ends_at, "limit": limit}
    taken: dict[date, int] = dict(await (await connection.execute(_SQL["read_days"], values)).fetchall())
    row = await (await connection.execute(_SQL["count_today"], values)).fetchone()
    assert row is not None
    return {**taken, today.date: int(row[0])}


def _each(slots: Sequence[Slot]) -> list[datetime]:
    return [slot.at for slot in slots for _ in range(slot.count)]
