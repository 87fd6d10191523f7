"""Plans recipients, skips the waiting recipients of cancelled campaigns, completes campaigns, and reopens them.

It uses Postgres alone and works in small chunks, so that a cancellation takes effect while Kafka is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from domain.backoff import DAY_S
from domain.lifecycle import CampaignStatus
from producers.scheduler.work import WorkWatch
from runtime.settings import Settings
from tables import budget_returns, closing, planning, portfolio
from tables.database import Connection, LockNotAvailable
from tables.leadership import Leader
from tables.planning import PlanPlace
from tables.release_memory import FIRST_ID
from tables.release_pages import FIRST_RELEASE, forget_answered
from tables.work import WorkKind

ROUND_S = 1.0
FORGET_S = 5.0
"""Interval and minimum age, in seconds, for deleting releases that were answered without a claim."""
CHUNK_ROWS = 2000
FORGET_ROWS = 5000
"""Releases of a page that is searched for those to delete. Thousands may wait for their claim; each takes 2 us."""
SHORTEST_UNKNOWN_S = 10.0
CLOSABLE = (CampaignStatus.ACTIVE, CampaignStatus.CANCELLED, CampaignStatus.COMPLETED)

UpkeepStep = Callable[[], Awaitable[bool | None]]
"""Does a part of the work. True: there is more of it now."""

log = structlog.get_logger("scheduler")


@contextmanager
def losing_what_is_locked(work: str) -> Iterator[None]:
    """Lose this piece of work if a lock is not free within the session's lock timeout. The next round repeats it."""
    try:
        yield
    except LockNotAvailable:
        log.warning("a row is locked; this part of the upkeep waits for the next round", work=work)


class Upkeep:
    """The upkeep of campaigns. It is one loop of the leader."""

    def __init__(self, leader: Leader, settings: Settings, work: WorkWatch) -> None:
        self._leader = leader
        self._work = work
        self._unknown_s = max(SHORTEST_UNKNOWN_S, DAY_S / settings.time_scale)
        self._page_after = dict.fromkeys(CLOSABLE, FIRST_ID)
        self._skipped_until: dict[UUID, closing.SkipPlaces] = {}
        self._planned_until: dict[UUID, PlanPlace] = {}
        self._forget_at = 0.0
        self._forget_after = FIRST_RELEASE
        self._returned_until = budget_returns.FIRST
        self._steps: dict[WorkKind, tuple[str, UpkeepStep]] = {
            WorkKind.PLANS: ("plans", self._plan),
            WorkKind.CANCELLED: ("cancelled campaigns", self._skip_cancelled),
            WorkKind.ACTIVE: ("finished campaigns", self._complete),
            WorkKind.COMPLETED: ("completed campaigns", self._reopen),
            WorkKind.RELEASED: ("answered releases", self._forget),
            WorkKind.RETURNS: ("returned budget", self._return_budget),
            WorkKind.PORTFOLIO: ("budget of the portfolio", self._settle_portfolio),
        }
        """What is done for each kind of work, in this order, and its name in a log line."""

    async def run(self, stop: asyncio.Event) -> None:
        """Run a round every second while there is work, or at once while recipients are left to plan or to skip."""
        is_more, wanted = False, frozenset(self._steps)
        while (found := await self._work.next_round(stop, wanted, 0 if is_more else ROUND_S)) is not None:
            is_more = False
            for kind, (what, step) in self._steps.items():
                if kind in found:
                    with losing_what_is_locked(what):
                        is_more = await step() or is_more

    async def _plan(self) -> bool:
        async with self._leader.turn() as connection:
            campaigns = await planning.find_planning(connection)
        is_more = False
        for campaign in campaigns:
            start = self._planned_until.pop(campaign, None)
            with losing_what_is_locked(f"plan of campaign {campaign}"):
                async with self._leader.turn() as connection:
                    chunk = await planning.plan_chunk(connection, campaign, CHUNK_ROWS, start)
                if chunk.next is not None:
                    self._planned_until[campaign] = chunk.next
                    is_more = True
                if chunk.unplanned is not None:
                    log.info("recipients left the old plan", campaign_id=str(campaign), count=chunk.unplanned)
                elif chunk.planned:
                    log.info("recipients planned", campaign_id=str(campaign), count=chunk.planned)
        return is_more

    async def _page(self, connection: Connection, status: CampaignStatus) -> list[UUID]:
        """The next campaigns in a status. All pages follow each other, so that each campaign has its turn."""
        page = await closing.list_by_status(connection, status, self._page_after[status])
        self._page_after[status] = page[-1] if len(page) == closing.PAGE_CAMPAIGNS else FIRST_ID
        return page

    async def _skip_cancelled(self) -> bool:
        async with self._leader.turn() as connection:
            page = await self._page(connection, CampaignStatus.CANCELLED)
            cancelled = await closing.find_cancelled(connection, page)
        is_more = False
        for campaign in cancelled:
            chunk = closing.Chunk(0, is_last=True)
            with losing_what_is_locked(f"cancelled campaign {campaign}"):
                async with self._leader.turn() as connection:
                    places = self._skipped_until.pop(campaign, None)
                    chunk = await closing.skip_chunk(connection, campaign, CHUNK_ROWS, places)
            if not chunk.is_last:
                self._skipped_until[campaign] = chunk.places
                is_more = True
                log.info("cancelled campaign: recipients skipped", campaign_id=str(campaign), count=chunk.skipped)
        return is_more

    async def _complete(self) -> None:
        async with self._leader.turn() as connection:
            page = await self._page(connection, CampaignStatus.ACTIVE)
            completed = await closing.complete(connection, page, self._unknown_s)
        for campaign_id in completed:
            log.info("campaign completed", campaign_id=str(campaign_id))

    async def _reopen(self) -> None:
        async with self._leader.turn() as connection:
            page = await self._page(connection, CampaignStatus.COMPLETED)
            reopened = await closing.reopen(connection, page)
        for campaign_id in reopened:
            log.info("campaign reopened: a recipient is due again", campaign_id=str(campaign_id))

    async def _forget(self) -> bool:
        now = time.monotonic()
        if self._forget_after == FIRST_RELEASE:
            if now < self._forget_at:
                return False
            self._forget_at = now + FORGET_S
        async with self._leader.turn() as connection:
            page = await forget_answered(connection, FORGET_S, FORGET_ROWS, self._forget_after)
        self._forget_after = page.next
        return page.deleted > 0 and page.next != FIRST_RELEASE

    async def _return_budget(self) -> None:
        async with self._leader.turn() as connection:
            self._returned_until = await budget_returns.apply_returns(connection, self._returned_until, CHUNK_ROWS)

    async def _settle_portfolio(self) -> None:
        async with self._leader.turn() as connection:
            await portfolio.settle(connection)
