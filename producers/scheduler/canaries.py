"""Judges canaries and the figures of active campaigns: widens steps, and pauses a campaign whose figures are bad.

It is one loop of the leader. Releases obey the steps without it, so while it does not run, a campaign sends no
more than its present step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from uuid import UUID

import structlog

from domain.canary import Canary, decide
from domain.rolling import RollingWindow, open_windows, roll
from domain.shares import Excess, pause_reason
from producers.scheduler.upkeep import losing_what_is_locked
from producers.scheduler.work import WorkWatch
from runtime import metrics
from runtime.settings import Settings
from tables import canaries
from tables.canaries import JudgedCampaign
from tables.database import Connection
from tables.leadership import Leader
from tables.work import WorkKind

ROUND_S = 1.0
"""Pause between two judgements of canaries. A campaign without one is judged every `ROLL_EVERY_S`."""
ROLL_EVERY_S = 5.0

log = structlog.get_logger("scheduler")


async def watch_canaries(leader: Leader, settings: Settings, stop: asyncio.Event, work: WorkWatch) -> None:
    """Run a round every second until `stop`, while there are active campaigns."""
    roll_at = 0.0
    while await work.next_round(stop, frozenset({WorkKind.ACTIVE}), ROUND_S) is not None:
        are_all = time.monotonic() >= roll_at
        with losing_what_is_locked("canaries"):
            async with leader.turn() as connection:
                await judge_campaigns(connection, settings.time_scale, are_all=are_all)
        if are_all:
            roll_at = time.monotonic() + ROLL_EVERY_S


async def judge_campaigns(connection: Connection, time_scale: float, *, are_all: bool) -> list[UUID]:
    """Judge the campaigns with a canary, or all active ones. Returns those that were paused."""
    steps: list[tuple[JudgedCampaign, Canary]] = []
    rolled: list[tuple[JudgedCampaign, Mapping[str, RollingWindow]]] = []
    paused = []
    for campaign in await canaries.read_active(connection, are_all=are_all):
        if campaign.is_limited:
            wait_s = campaign.wait_s / time_scale
            decision = decide(
                campaign.canary, campaign.figures, campaign.waiting, campaign.limits, campaign.now, wait_s,
                campaign.known_until,
            )  # fmt: skip
            excess = decision.excess
            if excess is None and decision.canary != campaign.canary:
                steps.append((campaign, decision.canary))
        else:
            windows, excess = _roll(campaign, time_scale)
            if excess is None and windows != campaign.windows:
                rolled.append((campaign, windows))
        if excess is not None and await _pause(connection, campaign, excess):
            paused.append(campaign.id)
    if steps:
        await canaries.write_steps(connection, steps)
        for campaign, canary in steps:
            _log_step(campaign, canary)
    if rolled:
        await canaries.write_windows(connection, rolled)
    return paused


def _roll(campaign: JudgedCampaign, time_scale: float) -> tuple[Mapping[str, RollingWindow], Excess | None]:
    if campaign.windows is None:
        return open_windows(campaign.canary.base, campaign.figures, campaign.now), None
    return roll(campaign.windows, campaign.figures, campaign.limits, campaign.now, time_scale)


async def _pause(connection: Connection, campaign: JudgedCampaign, excess: Excess) -> bool:
    code, reason = pause_reason(excess)
    is_paused = await canaries.stop(connection, campaign, code, reason)
    if is_paused:
        metrics.STOPPED_BY_FIGURES.labels(code.value).inc()
        log.error("campaign paused by its figures", campaign_id=str(campaign.id), code=code.value, reason=reason)
    return is_paused


def _log_step(campaign: JudgedCampaign, canary: Canary) -> None:
    if canary.step == campaign.canary.step and canary.is_on:
        return
    found = campaign.figures.since(canary.base)
    log.info(
        "canary widened" if canary.is_on else "canary over: the campaign sends to everybody",
        campaign_id=str(campaign.id),
        step=canary.step,
        allowed=canary.allowed,
        handled=found.handled,
        failed=found.failed,
        opted_out=found.opted_out,
        blocked=found.blocked,
        unknown=found.unknown,
    )
