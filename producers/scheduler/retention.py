"""Deletes old rows, as the settings permit. It is one loop of the leader, and it needs Postgres alone."""

from __future__ import annotations

import asyncio
import time

import structlog

from domain.frequency import ATTEMPTS_KEPT_DAYS
from producers.scheduler.upkeep import losing_what_is_locked
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.topics import SPECS, UNLIMITED
from tables.leadership import Leader
from tables.retention import START, ChunkPlace, Prunable, prune

ROUND_S = 1.0
"""Pause between two chunks of a table: 1,000 rows a second are 86 million a day.

On a loaded machine, a chunk of 2,000 rows took 105 ms on average and 250 ms at worst.
"""
PASS_EVERY_S = 3600.0
"""Pause between two passes over a table."""
CHUNK_ROWS = 1000
KEYS_KEPT_DAYS = 7

log = structlog.get_logger("scheduler")


class Retention:
    """Prunes each table for which a number of days is set, one chunk in a round."""

    def __init__(self, leader: Leader, settings: Settings) -> None:
        self._leader = leader
        self._days = days_by_table(settings)
        self._places: dict[Prunable, ChunkPlace] = dict(START)
        self._pass_at = dict.fromkeys(self._days, 0.0)
        self._deleted = dict.fromkeys(self._days, 0)
        self._unlimited = [settings.topic(spec.name) for spec in SPECS if spec.retention_ms == UNLIMITED]

    async def run(self, stop: asyncio.Event) -> None:
        """Prune a chunk of each table every second during a pass, and begin a pass every hour."""
        while not await pause(stop, ROUND_S):
            for table, days in self._days.items():
                if time.monotonic() >= self._pass_at[table]:
                    with losing_what_is_locked(f"retention of {table.value}"):
                        await self._prune(table, days)

    async def _prune(self, table: Prunable, days: int) -> None:
        async with self._leader.turn() as connection:
            chunk = await prune(connection, table, days, self._places[table], CHUNK_ROWS, self._unlimited)
        self._deleted[table] += chunk.deleted
        if chunk.next is not None:
            self._places[table] = chunk.next
            return
        if self._deleted[table]:
            log.info("old rows deleted", table=table.value, rows=self._deleted[table], older_than_days=days)
        self._places[table], self._deleted[table] = START[table], 0
        self._pass_at[table] = time.monotonic() + PASS_EVERY_S


def days_by_table(settings: Settings) -> dict[Prunable, int]:
    """The days after which the rows of each table are deleted. Tables that keep everything are missing."""
    days = {
        Prunable.LEDGER: settings.keep_ledger_days,
        Prunable.MESSAGES: settings.keep_messages_days,
        Prunable.SUBSCRIPTION_OUTBOX: settings.keep_outbox_days,
        Prunable.BUDGETS: settings.keep_budgets_days,
        Prunable.TIMELINE: settings.keep_timeline_days,
        Prunable.DEAD_LETTER_ACTS: settings.keep_dead_letter_acts_days,
        Prunable.IDEMPOTENCY_KEYS: KEYS_KEPT_DAYS,
        Prunable.PERSON_ATTEMPTS: ATTEMPTS_KEPT_DAYS,
    }
    return {table: each for table, each in days.items() if each is not None}
