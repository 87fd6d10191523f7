"""Explains why recipients of a campaign have no message yet, from the counters: no recipient is counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.canary import Canary, judge_at
from domain.days import UnknownTimeZone, day_of
from domain.lifecycle import CampaignStatus
from domain.portfolio import portfolio_text
from domain.shares import CampaignFigures, figures_of
from domain.waiting import Situation, WaitGroup, WaitKind, explain, reached
from domain.windows import Hours, InvalidWindow, WindowZone, next_open
from tables import breakers, frequency, portfolio
from tables.breakers import KnownBreaker
from tables.campaigns import UnknownCampaign
from tables.database import Connection
from tables.statements import load
from tables.windows import OWN_CLOCK, hours_of

_SQL = load("explanations")
RETRIES_READ = 1000
"""So many of the first retries are searched for the earliest due times."""
PAIRS_READ = 2000
"""So many of the latest messages of each kind are compared with the due recipients."""
_WINDOW = "window/"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every recipient of a campaign: with a message, or in one of the groups."""

    campaign_id: UUID
    status: CampaignStatus
    as_of: datetime
    total: int
    with_message: int
    reasons: list[WaitGroup]


async def read(connection: Connection, campaign: UUID, time_scale: float = 1.0, pair_s: float = 0.0) -> Explanation:
    """Explain a campaign. `time_scale` shortens the wait of a canary and the seconds of a pair.

    Raises UnknownCampaign.
    """
    row = await (await connection.execute(_SQL["read_situation"], {"campaign": campaign})).fetchone()
    if row is None:
        raise UnknownCampaign
    (
        status,
        pause_reason,
        start_at,
        limit,
        now,
        counters,
        used,
        step,
        allowed,
        released,
        filled_at,
        base,
        wait,
        excluded,
        *window,
    ) = row
    held = (await breakers.holding(connection, [campaign])).get(campaign, [])
    values = {"campaign": campaign, "limit": RETRIES_READ}
    times = await (await connection.execute(_SQL["find_retry_times"], values)).fetchall()
    people = await portfolio.read(connection)
    paired, pair_at = await _count_paired(connection, campaign, pair_s / time_scale)
    cap = await frequency.read_cap(connection)
    canary = Canary(step, allowed, released, filled_at, CampaignFigures(**(base or {})))
    situation = Situation(
        status=CampaignStatus(status),
        now=now,
        pause_reason=pause_reason,
        start_at=start_at,
        breakers=tuple(f"{each.scope.value} {breakers.shown_key(each.scope, each.key)}".strip() for each in held),
        probe_at=_probe_at(held),
        paired=paired,
        pair_at=pair_at,
        left_in_portfolio=people.left,
        portfolio_at=people.free_at,
        portfolio=portfolio_text(people),
        canary_room=canary.room,
        canary_at=judge_at(canary, 60.0 * wait / time_scale),
        canary=_canary_text(canary, figures_of(counters).since(canary.base)),
        excluded=excluded,
        frequency_cap=None if cap is None else f"at most {cap.messages} in {cap.days} days",
        retry_at={WaitKind(kind): at for kind, at in times},
    )
    situation = _with_hours(situation, tuple(window), counters, limit, used)
    return Explanation(
        campaign_id=campaign,
        status=situation.status,
        as_of=now,
        total=counters.get("funnel/total", 0),
        with_message=reached(counters),
        reasons=explain(counters, situation),
    )


def _with_hours(
    situation: Situation,
    window: tuple[Any, ...],
    counters: Mapping[str, int],
    limit: int | None,
    used: Mapping[str, int],
) -> Situation:
    """The situation with the window and the limit of the day. `used`: the attempts of each day."""
    opens_at = None
    try:
        hours = hours_of(window)
        opens_at = _openings(hours, _countries(counters), situation.now)
        today = day_of(situation.now, hours.time_zone)
    except (InvalidWindow, UnknownTimeZone):  # the scheduler pauses such a campaign
        return replace(situation, opens_at=opens_at)
    return replace(
        situation,
        opens_at=opens_at,
        follows=hours.follows is WindowZone.RECIPIENT,
        left_today=None if limit is None else max(0, limit - used.get(today.date.isoformat(), 0)),
        next_day_at=next_open(hours.window, [hours.time_zone], today.ends_at),
    )


async def _count_paired(connection: Connection, campaign: UUID, pair_s: float) -> tuple[int, datetime | None]:
    if pair_s <= 0:
        return 0, None
    values = {"campaign": campaign, "pair_s": pair_s, "limit": PAIRS_READ}
    row = await (await connection.execute(_SQL["count_paired"], values)).fetchone()
    assert row is not None
    return row[0], row[1]


def _canary_text(canary: Canary, found: CampaignFigures) -> str | None:
    if not canary.is_on:
        return None
    return (
        f"step {canary.step}: {canary.released:,} of {canary.allowed:,} released, {found.handled:,} with an outcome, "
        f"{found.failed:,} failed, {found.opted_out:,} opted out, {found.blocked:,} blocked, {found.unknown:,} unknown"
    )


def _countries(counters: Mapping[str, int]) -> set[str]:
    return {OWN_CLOCK, *(key.removeprefix(_WINDOW) for key in counters if key.startswith(_WINDOW))}


def _openings(hours: Hours, countries: Collection[str], now: datetime) -> dict[str, datetime | None]:
    return {each: next_open(hours.window, hours.zones(each), now) for each in countries}


def _probe_at(held: Collection[KnownBreaker]) -> datetime | None:
    """When the last of the breakers lets a probe through; None if a person must act."""
    times = [each.probe_at for each in held if each.probe_at is not None]
    needs_human = any(each.needs_human for each in held)
    return None if needs_human else max(times, default=None)
