"""Releases attempts: due recipients become jobs, within every budget. The scheduler's leader and the API call it.

One step is one transaction per number. It locks the number's bucket and the budgets of the days, so two releasers (a
leader that was frozen, and the API) together stay within them. The attempt of a row is raised under the row's lock, so
no row is released twice. This module does not publish: a job may only be published after its release is committed.

Only campaigns whose window is open are searched, and no job may be sent after its window (tables/windows.py). A number
or a campaign whose lock is not free within a second is left to a later step, and a campaign whose row no job can be
made of is paused with the reason. Neither keeps the others from being released.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from domain.breakers import recovered_share
from domain.days import Day
from domain.frequency import FrequencyCap
from domain.pairs import REMEMBERED_S
from domain.portfolio import WINDOW_S, PortfolioBudget
from runtime.settings import Settings
from schemas.codec import PRODUCER
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from schemas.reasons import PauseReason
from tables import breakers, canaries, frequency, portfolio, windows
from tables.database import Connection, LockNotAvailable
from tables.portfolio import LockedBudget
from tables.release_memory import FIRST_ID, Lane, Place, ReleaseMemory
from tables.statements import load
from tables.windows import SendingCampaign

_SQL = load("releases")

log = structlog.get_logger(__name__)

RECOVERY_STEP_S = 0.1
"""The scheduler releases about ten times a second while recipients are due."""

RELEASER_SESSION = {
    "idle_session_timeout": "10s",
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "1s",
    "enable_seqscan": "off",  # A table that has just grown has no statistics yet.
    "jit": "off",
}
"""Session settings of a connection that releases. A frozen client loses its locks within 10 s."""


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits of a number: messages per second, and how many seconds of them may be released and not claimed."""

    mps: int
    cap_s: float
    portfolio: PortfolioBudget | None = None
    """The budget of people that all numbers share; None: there is none."""
    own: Mapping[str, int] = field(default_factory=dict)
    """Messages per second of the numbers that have a pace of their own."""
    pair_s: float = 0.0
    """Seconds between two messages of a number to a person; 0: they do not wait for each other."""

    @classmethod
    def of(cls, settings: Settings) -> Rates:
        """The limits of these settings."""
        people = settings.whatsapp_portfolio_limit
        budget = None if people is None else PortfolioBudget(people, WINDOW_S / settings.time_scale)
        pair_s = settings.whatsapp_pair_s / settings.time_scale
        return cls(settings.whatsapp_mps, settings.release_cap_s, budget, settings.mps_by_number(), pair_s)

    def of_number(self, number: str) -> Rates:
        """The limits of one number."""
        return self if number not in self.own else replace(self, mps=self.own[number])

    @property
    def mps_max(self) -> int:
        """The messages per second of the fastest number."""
        return max(self.mps, *self.own.values()) if self.own else self.mps

    @property
    def unclaimed_max(self) -> int:
        """The maximum of released attempts that are not claimed."""
        return max(1, int(self.mps * self.cap_s))


@dataclass(frozen=True, slots=True)
class ReleaseStep:
    """The result of a step. `is_more`: recipients are due that a later step may release."""

    jobs: tuple[SendJob, ...] = ()
    skipped: int = 0
    exhausted: int = 0
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class _DueCampaign:
    """An active campaign with due recipients, whose window is open."""

    id: UUID
    number: str
    template_name: str
    language_code: str
    endpoint: str | None
    daily_limit: int | None
    fresh: int
    """Due recipients without an attempt, and below those with one; both are counted up to a second of the rate."""
    tried: int
    now: datetime
    is_held: bool
    """An open breaker holds it, and lets one message through now."""
    number_closed_at: datetime | None
    """When a breaker of its number, account or endpoint closed, while the rate recovers."""
    template_closed_at: datetime | None
    canary_room: int | None
    """How many more people may get their first attempt now; None: all."""
    open: SendingCampaign
    """Its day, and until when its messages may be sent."""

    @property
    def day(self) -> Day:
        """The current day of its time zone."""
        return self.open.day

    @property
    def due(self) -> int:
        """The due recipients, within the canary."""
        fresh = self.fresh if self.canary_room is None else min(self.fresh, self.canary_room)
        return fresh + self.tried

    def demand(self, used: int) -> int:
        """How many attempts it could release now, within the limit of the day."""
        due = min(1, self.due) if self.is_held else self.due
        return due if self.daily_limit is None else max(0, min(due, self.daily_limit - used))


@dataclass(frozen=True, slots=True)
class _SharedLimits:
    """What limits each campaign of a number beyond its own limits."""

    budget: LockedBudget | None
    """The budget of the portfolio."""
    cap: FrequencyCap | None
    """The frequency cap."""
    pair_s: float


async def release_step(connection: Connection, rates: Rates, memory: ReleaseMemory | None = None) -> ReleaseStep:
    """Release due recipients on every number, as far as the budgets allow now.

    `memory` carries what one step knows to the next. Without it the step starts afresh: correct, but fair only within
    itself.
    """
    memory = memory or ReleaseMemory()
    try:
        await windows.watch(connection, memory)
    except LockNotAvailable:
        log.warning("the watch over late campaigns is locked; a later step repeats it")
    due = await _find_due(connection, rates, memory)
    used = await _days_used(connection, due)
    step = ReleaseStep()
    demands = {each.id: each.demand(used.get(each.id, 0)) for each in due}
    if rates.portfolio is not None and any(demands.values()):
        demands = await _portfolio_shares(connection, rates, rates.portfolio, due, demands, memory)
    wanting = sorted((each for each in due if demands[each.id]), key=lambda each: each.number)
    memory.note(wanting=(each.id for each in wanting))
    for number, campaigns in groupby(wanting, key=lambda each: each.number):
        try:
            step = _sum(
                step,
                await _release_number(
                    connection, number, list(campaigns), demands, used, rates.of_number(number), memory
                ),
            )
        except LockNotAvailable:
            log.warning("a number is locked; its recipients are released later", phone_number_id=number)
            memory.hold(number)
    return step


async def _portfolio_shares(
    connection: Connection,
    rates: Rates,
    budget: PortfolioBudget,
    due: Sequence[_DueCampaign],
    demands: dict[UUID, int],
    memory: ReleaseMemory,
) -> dict[UUID, int]:
    """Divide what is left of the budget among the campaigns of all numbers, if a step could use up more than that."""
    left = await portfolio.read_left(connection, budget)
    step_max = sum(rates.of_number(number).mps for number in {each.number for each in due})
    return demands if left >= min(step_max, sum(demands.values())) else memory.portfolio.divide(left, demands)


async def _find_due(connection: Connection, rates: Rates, memory: ReleaseMemory) -> list[_DueCampaign]:
    opening = await windows.find_open(connection, memory)
    for campaign, reason in opening.broken.items():
        await pause_broken(connection, campaign, reason)
    if not opening.campaigns:
        return []
    with memory.searching():
        values = {"count_max": rates.mps_max, **opening.parameters(), **memory.places()}
        rows = await (await connection.execute(_SQL["find_due_campaigns"], values)).fetchall()
    judged = [await _judge(connection, row, opening.campaigns[row[0]]) for row in rows]
    return [each for each in judged if each is not None]


async def _judge(connection: Connection, row: Sequence[Any], opened: SendingCampaign) -> _DueCampaign | None:
    """The campaign, or None if no job can be made of its row: it is paused then."""
    campaign, number, limit, template, language, endpoint, fresh, tried, now, is_held, *closed_at, room = row
    try:
        due = _DueCampaign(
            id=campaign, number=number, template_name=template, language_code=language, endpoint=endpoint,
            daily_limit=limit, fresh=fresh, tried=tried, now=now, is_held=is_held, number_closed_at=closed_at[0],
            template_closed_at=closed_at[1], canary_room=room, open=opened,
        )  # fmt: skip
        _job((FIRST_ID, 1, "10000000", None, None, now), due)
    except ValidationError as invalid:
        field = str(invalid.errors(include_url=False, include_input=False)[0]["loc"][0])
        await pause_broken(connection, campaign, _REASON_BY_FIELD[field])
        return None
    return due


async def pause_broken(connection: Connection, campaign: UUID, reason: PauseReason) -> None:
    """Pause an active campaign of which no message can be made. A locked campaign is left to a later step."""
    await connection.execute(_SQL["pause_campaign"], {"campaign": campaign, "reason": reason.value})
    log.error("a campaign is paused, because no message can be made of it", campaign_id=str(campaign), reason=reason)


_REASON_BY_FIELD = {
    "language_code": PauseReason.INVALID_LANGUAGE_CODE,
    "template_name": PauseReason.INVALID_TEMPLATE_NAME,
    "phone_number_id": PauseReason.INVALID_PHONE_NUMBER_ID,
}


async def _days_used(connection: Connection, due: Sequence[_DueCampaign]) -> dict[UUID, int]:
    limited = [each for each in due if each.daily_limit is not None]
    if not limited:
        return {}
    return await read_days_used(connection, {each.id: each.day.date for each in limited})


async def read_days_used(connection: Connection, days: Mapping[UUID, date]) -> dict[UUID, int]:
    """How many attempts these campaigns have used on these days. A campaign that has used none is missing."""
    values = {"campaigns": list(days), "days": list(days.values())}
    return dict(await (await connection.execute(_SQL["read_days_used"], values)).fetchall())


async def _release_number(
    connection: Connection,
    number: str,
    campaigns: list[_DueCampaign],
    wanted: Mapping[UUID, int],
    used: Mapping[UUID, int],
    rates: Rates,
    memory: ReleaseMemory,
) -> ReleaseStep:
    async with connection.transaction():
        cap = await frequency.lock_cap(connection)
        room = await _room(connection, number, _recovering(rates, campaigns), memory)
        budget = None if rates.portfolio is None else await portfolio.lock(connection, rates.portfolio)
        room = room if budget is None else min(room, budget.left)
        shared = _SharedLimits(budget, cap, rates.pair_s)
        campaigns = [each for each in campaigns if not each.is_held or await _may_probe(connection, each)]
        # Where the room cannot be divided evenly, the campaign that used least today gets more.
        campaigns.sort(key=lambda each: used.get(each.id, 0))
        demands = {each.id: min(wanted[each.id], _template_room(each, rates)) for each in campaigns}
        shares = memory.turns(number).divide(room, demands)
        step, reached = ReleaseStep(is_more=True), dict[tuple[UUID, Lane], Place]()
        # give_budget_back locks the budgets in the same order, so the two cannot deadlock.
        for campaign in sorted(campaigns, key=lambda each: each.id):
            if shares[campaign.id] > 0:
                released = await _release_campaign(connection, campaign, shares[campaign.id], memory, shared)
                if released.reached:
                    memory.note(served=[campaign.id])
                step = _sum(step, released.step)
                reached |= {(campaign.id, lane): place for lane, place in released.reached.items()}
        if step.jobs:
            await connection.execute(_SQL["spend_tokens"], {"number": number, "spent": len(step.jobs)})
        if budget is not None:
            await portfolio.charge(connection, budget, step.jobs)
    memory.advance(reached)  # only after the commit: after a rollback the same rows are due again
    memory.add_released(number, len(step.jobs))
    return step


def _recovering(rates: Rates, campaigns: Sequence[_DueCampaign]) -> Rates:
    """The rate of a number, lower for a minute after a breaker of its account, its endpoint or itself has closed."""
    share = min((recovered_share(each.number_closed_at, each.now) for each in campaigns), default=1.0)
    return replace(rates, mps=max(1, int(rates.mps * share)))


def _template_room(campaign: _DueCampaign, rates: Rates) -> int:
    """How many attempts of a template whose breaker closed a moment ago may be released in one step."""
    share = recovered_share(campaign.template_closed_at, campaign.now)
    return campaign.due if share >= 1 else max(1, int(rates.mps * share * RECOVERY_STEP_S))


async def _may_probe(connection: Connection, campaign: _DueCampaign) -> bool:
    """Take the place of the probe, before any budget of a day is locked."""
    return await breakers.take_release_probe(
        connection, campaign.number, campaign.template_name, campaign.language_code
    )


async def _room(connection: Connection, number: str, rates: Rates, memory: ReleaseMemory) -> int:
    tokens = await _one(connection, "refill_number", {"number": number, "mps": float(rates.mps)})
    unclaimed = memory.unclaimed_most(number)
    if unclaimed is None:
        unclaimed = await _one(connection, "count_unclaimed", {"number": number})
        memory.count_unclaimed(number, unclaimed)
    return max(0, min(tokens, rates.unclaimed_max - unclaimed))


@dataclass(frozen=True, slots=True)
class _Released:
    """What a campaign released, and how far each lane is searched."""

    step: ReleaseStep
    reached: Mapping[Lane, Place]


async def _release_campaign(
    connection: Connection, campaign: _DueCampaign, share: int, memory: ReleaseMemory, shared: _SharedLimits
) -> _Released:
    try:
        async with connection.transaction():
            return await _release_share(connection, campaign, share, memory, shared)
    except LockNotAvailable:
        log.warning("a campaign is locked; its recipients are released later", campaign_id=str(campaign.id))
        memory.hold(campaign.id)
        return _Released(ReleaseStep(), {})


async def _release_share(
    connection: Connection, campaign: _DueCampaign, share: int, memory: ReleaseMemory, shared: _SharedLimits
) -> _Released:
    day = {"campaign": campaign.id, "day": campaign.day.date}
    used = await lock_day(connection, campaign.id, campaign.day)
    limits = await (await connection.execute(_SQL["read_limits"], day)).fetchone()
    if limits is None:
        return _Released(ReleaseStep(), {})
    daily_limit, has_started, is_capped, wait_days, excluded, excluded_recipients, *window = limits
    if daily_limit is not None:
        share = min(share, daily_limit - used)
    if share <= 0 or not has_started or tuple(window) != campaign.open.window:
        return _Released(ReleaseStep(), {})
    room = await canaries.lock_room(connection, campaign.id)
    fresh = campaign.fresh if room is None else min(campaign.fresh, room)
    lanes = memory.lanes(campaign.id, share, fresh=fresh, tried=campaign.tried)
    values = {
        **day,
        **memory.place_of(campaign.id),
        "fresh": lanes[Lane.FRESH],
        "tried": lanes[Lane.TRIED],
        "number": campaign.number,
        "follows": campaign.open.follows,
        "countries": list(campaign.open.deadlines),
        "deadlines": [
            each if shared.budget is None else min(each, shared.budget.post_before)
            for each in campaign.open.deadlines.values()
        ],
        "producer": PRODUCER,
        "exclude_campaigns": excluded,
        "exclude_recipients": excluded_recipients,
        "pair_s": shared.pair_s,
        "pair_remembered_s": REMEMBERED_S,
        **frequency.release_parameters(shared.cap if is_capped else None, wait_days),
    }
    rows = await (await connection.execute(_SQL["release_due"], values)).fetchall()
    if room is not None:
        first = sum(row[6] == "queued" and row[7] == Lane.FRESH for row in rows)
        await canaries.charge(connection, campaign.id, first)
    step = ReleaseStep(
        jobs=tuple(_job(row[:6], campaign) for row in rows if row[6] == "queued"),
        skipped=sum(row[6] == "skipped" for row in rows),
        exhausted=sum(row[6] == "failed" for row in rows),
    )
    return _Released(step, {
        lane: max((row[8], row[0]) for row in rows if row[7] == lane.value)
        for lane in Lane if any(row[7] == lane.value for row in rows)
    })  # fmt: skip


async def lock_day(connection: Connection, campaign: UUID, day: Day) -> int:
    """Lock the budget of a campaign's day until the end of the transaction; returns how much of it is used."""
    return await _one(connection, "lock_day", {"campaign": campaign, "day": day.date})


def _job(row: Sequence[Any], campaign: _DueCampaign) -> SendJob:
    return SendJob(
        producer=PRODUCER,
        campaign_id=CampaignId(campaign.id),
        recipient_id=RecipientId(row[0]),
        attempt=row[1],
        phone_number_id=campaign.number,
        phone_number=row[2],
        user_id=row[3],
        template_name=campaign.template_name,
        language_code=campaign.language_code,
        endpoint=campaign.endpoint,
        template_parameters=row[4],
        send_before=row[5],
    )


def _sum(a: ReleaseStep, b: ReleaseStep) -> ReleaseStep:
    return ReleaseStep(a.jobs + b.jobs, a.skipped + b.skipped, a.exhausted + b.exhausted, a.is_more or b.is_more)


async def _one(connection: Connection, name: str, values: Mapping[str, object]) -> int:
    row = await (await connection.execute(_SQL[name], values)).fetchone()
    return int(row[0]) if row is not None else 0


async def count_due(connection: Connection) -> int:
    """The recipients of the active campaigns that are still to be released, now or later."""
    return await _one(connection, "count_due", {})


async def count_released(connection: Connection) -> int:
    """The attempts of the active campaigns that are released or claimed, and have no outcome."""
    return await _one(connection, "count_released", {})
