"""Skips the waiting recipients of cancelled campaigns, completes campaigns, and reopens them.

It uses Postgres alone and works in small chunks, so that a cancellation takes effect while Kafka is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog

from domain.backoff import DAY_S
from runtime.settings import Settings
from runtime.waiting import pause
from tables import closing, idempotency, releases
from tables.database import LockNotAvailable
from tables.leadership import Leader

ROUND_S = 1.0
FORGET_S = 5.0
"""Interval and minimum age, in seconds, for deleting releases that were answered without a claim."""
KEYS_ROUND_S = 600.0
KEYS_KEPT_S = 7.0 * DAY_S
CHUNK_ROWS = 2000
SHORTEST_UNKNOWN_S = 10.0

log = structlog.get_logger("scheduler")


@contextmanager
def _losing_what_is_locked(work: str) -> Iterator[None]:
    """Lose this piece of work if a lock is not free within the session's lock timeout. The next round repeats it."""
    try:
        yield
    except LockNotAvailable:
        log.warning("a row is locked; this part of the upkeep waits for the next round", work=work)


class Upkeep:
    """The upkeep of campaigns. It is one loop of the leader."""

    def __init__(self, leader: Leader, settings: Settings) -> None:
        self._leader = leader
        self._unknown_s = max(SHORTEST_UNKNOWN_S, DAY_S / settings.time_scale)
        self._checked_until: dict[UUID, UUID] = {}
        self._forget_at = self._keys_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Run a round every second, or at once while a cancelled campaign has more recipients."""
        is_more = False
        while not await pause(stop, 0 if is_more else ROUND_S):
            is_more = False
            with _losing_what_is_locked("cancelled campaigns"):
                is_more = await self._skip_cancelled()
            with _losing_what_is_locked("completed campaigns"):
                await self._complete_and_reopen()
            with _losing_what_is_locked("answered releases and old keys"):
                await self._forget()

    async def _skip_cancelled(self) -> bool:
        async with self._leader.turn() as connection:
            cancelled = await closing.find_cancelled(connection)
        is_more = False
        for each in cancelled:
            start = self._checked_until.pop(each.campaign_id, closing.LOWEST_ID)
            chunk = closing.Chunk(0, start, is_last=True)
            with _losing_what_is_locked(f"cancelled campaign {each.campaign_id}"):
                async with self._leader.turn() as connection:
                    chunk = await closing.skip_chunk(connection, each, CHUNK_ROWS, start)
            if not chunk.is_last:
                self._checked_until[each.campaign_id] = chunk.after
                is_more = True
                log.info(
                    "cancelled campaign: recipients skipped", campaign_id=str(each.campaign_id), count=chunk.skipped
                )
        return is_more

    async def _complete_and_reopen(self) -> None:
        async with self._leader.turn() as connection:
            completed = await closing.complete(connection, self._unknown_s)
            reopened = await closing.reopen(connection)
        for campaign_id in completed:
            log.info("campaign completed", campaign_id=str(campaign_id))
        for campaign_id in reopened:
            log.info("campaign reopened: a recipient is due again", campaign_id=str(campaign_id))

    async def _forget(self) -> None:
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + FORGET_S
            async with self._leader.turn() as connection:
                await releases.forget_answered(connection, FORGET_S, CHUNK_ROWS)
        if now >= self._keys_at:
            self._keys_at = now + KEYS_ROUND_S
            async with self._leader.turn() as connection:
                await idempotency.forget(connection, KEYS_KEPT_S)
