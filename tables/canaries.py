"""Canaries, and the campaigns that their figures stop. The rules are pure: `domain.canary`, `domain.rolling`.

The figures come from the counters, so a check costs the same for any number of recipients. A release takes its room
under a lock. Nothing here waits for the lock of a campaign: one that is locked is judged in the next round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from domain.canary import Canary, CanarySize
from domain.canary import begin as first_step
from domain.rolling import RollingWindow
from domain.shares import CampaignFigures, ShareLimits, figures_of
from schemas.reasons import PauseReason
from tables.arrays import plain, times
from tables.database import Connection
from tables.statements import load

_SQL = load("canaries")


@dataclass(frozen=True, slots=True)
class JudgedCampaign:
    """An active campaign with what its figures are judged by."""

    id: UUID
    started_at: datetime | None
    """Its last start. Nothing is written for a campaign that was started again meanwhile."""
    now: datetime
    known_until: datetime | None
    """All webhooks up to then are applied; None: nobody has watched them yet."""
    wait_s: float
    limits: ShareLimits
    figures: CampaignFigures
    waiting: int
    """The people without a first attempt."""
    is_limited: bool
    """Its canary is on."""
    canary: Canary
    windows: Mapping[str, RollingWindow] | None


async def begin(connection: Connection, campaign: UUID) -> None:
    """Begin the canary of a campaign, if it is large enough, in the transaction that activates it."""
    size, counters, _, _ = await _read_new(connection, campaign)
    await _write_first(connection, campaign, _first(size, counters))


async def begin_late(connection: Connection, campaign: UUID) -> None:
    """Begin the canary of an activated campaign that was too small for one, if it is large enough now."""
    size, counters, step, _ = await _read_new(connection, campaign)
    canary = _first(size, counters)
    if step == 0 and canary.is_on:
        await _write_first(connection, campaign, canary)


async def begin_again(connection: Connection, campaign: UUID) -> None:
    """Begin a new canary if the figures had stopped the campaign. What happened before is not judged any more."""
    size, counters, _, was_stopped = await _read_new(connection, campaign)
    if was_stopped:
        await _write_first(connection, campaign, _first(size, counters))


async def _read_new(connection: Connection, campaign: UUID) -> tuple[CanarySize, Mapping[str, int], int | None, bool]:
    row = await (await connection.execute(_SQL["read_new"], {"campaign": campaign})).fetchone()
    assert row is not None, "the campaign is locked, so it exists"
    percent, least, most, counters, step, was_stopped = row
    return CanarySize(percent, least, most), counters, step, was_stopped


def _first(size: CanarySize, counters: Mapping[str, int]) -> Canary:
    return first_step(size, counters.get("status/pending", 0), figures_of(counters))


async def _write_first(connection: Connection, campaign: UUID, canary: Canary) -> None:
    values = {"campaign": campaign, "step": canary.step, "allowed": canary.allowed, "base": _json(canary.base)}
    await connection.execute(_SQL["begin"], values)


async def lock_room(connection: Connection, campaign: UUID) -> int | None:
    """How many people may get their first attempt now; None: all. The canary stays locked in the transaction."""
    row = await (await connection.execute(_SQL["lock_room"], {"campaign": campaign})).fetchone()
    return None if row is None else int(row[0])


async def limiting(connection: Connection, campaigns: Collection[UUID]) -> dict[UUID, Canary]:
    """The present steps of those of these campaigns that their canary limits now, without figures and times."""
    cursor = await connection.execute(_SQL["list_limiting"], {"ids": plain(campaigns)})
    return {row[0]: Canary(step=row[1], allowed=row[2], released=row[3]) for row in await cursor.fetchall()}


async def charge(connection: Connection, campaign: UUID, released: int) -> None:
    """Count people who got their first attempt, under the lock of `lock_room`."""
    await connection.execute(_SQL["charge"], {"campaign": campaign, "released": released})


async def read_active(connection: Connection, *, are_all: bool) -> list[JudgedCampaign]:
    """The active campaigns whose canary limits them, or all active ones."""
    cursor = await connection.execute(_SQL["read_active"], {"all": are_all})
    return [_judged(row) for row in await cursor.fetchall()]


def _judged(row: Sequence[Any]) -> JudgedCampaign:
    (
        campaign,
        started_at,
        now,
        known_until,
        wait_minutes,
        failed,
        opted_out,
        blocked,
        unknown,
        counters,
        is_limited,
        *state,
    ) = row
    step, allowed, released, filled_at, base, windows = state
    figures = figures_of(counters)
    return JudgedCampaign(
        id=campaign,
        started_at=started_at,
        now=now,
        known_until=known_until,
        wait_s=60.0 * wait_minutes,
        limits=ShareLimits(failed=failed, opted_out=opted_out, blocked=blocked, unknown=unknown),
        figures=figures,
        waiting=counters.get("status/pending", 0),
        is_limited=is_limited,
        canary=Canary(step, allowed, released, filled_at, figures if base is None else CampaignFigures(**base)),
        windows=None if windows is None else {name: _window(each) for name, each in windows.items()},
    )


async def write_steps(connection: Connection, changed: Sequence[tuple[JudgedCampaign, Canary]]) -> None:
    """Write the steps that changed."""
    values = {
        "ids": plain(each.id for each, _ in changed),
        "starts": times(each.started_at for each, _ in changed),
        "steps": plain(canary.step for _, canary in changed),
        "allowed": plain(canary.allowed for _, canary in changed),
        "filled": times(canary.filled_at for _, canary in changed),
    }
    await connection.execute(_SQL["write_steps"], values)


async def write_windows(
    connection: Connection, changed: Sequence[tuple[JudgedCampaign, Mapping[str, RollingWindow]]]
) -> None:
    """Write the windows that changed."""
    values = {
        "ids": plain(each.id for each, _ in changed),
        "starts": times(each.started_at for each, _ in changed),
        "bases": [_json(each.canary.base) for each, _ in changed],
        "windows": [
            orjson.dumps({name: asdict(one) for name, one in rolled.items()}).decode() for _, rolled in changed
        ],
    }
    await connection.execute(_SQL["write_windows"], values)


async def stop(connection: Connection, campaign: JudgedCampaign, code: PauseReason, reason: str) -> bool:
    """Pause a campaign because of its figures. False: it is locked, paused already, or was started again."""
    values = {"campaign": campaign.id, "started_at": campaign.started_at, "code": code.value, "reason": reason}
    return (await (await connection.execute(_SQL["stop"], values)).fetchone()) is not None


def _json(figures: CampaignFigures) -> str:
    return orjson.dumps(asdict(figures)).decode()


def _window(stored: Mapping[str, Any]) -> RollingWindow:
    return RollingWindow(
        CampaignFigures(**stored["previous"]),
        CampaignFigures(**stored["present"]),
        datetime.fromisoformat(stored["began_at"]),
    )
