"""Reads our sending numbers from the Cloud API, so that a report of Meta about a number finds its campaigns.

It is one loop of the leader. A number that cannot be read stays as it was known, and a report might then be about it.
"""

from __future__ import annotations

import asyncio
import math
import time

import structlog

from domain.number_reports import digits_of
from runtime.number_reader import NumberUnreadable, read_number
from runtime.settings import Settings
from runtime.waiting import pause
from tables import numbers
from tables.leadership import Leader
from tables.numbers import ShownNumber

ROUND_S = 15.0
"""A number of a new campaign is read within this time."""
FRESH_S = 600.0
"""So long a number is not read again. Its quality is shown to people, and decides nothing."""

log = structlog.get_logger("scheduler")


async def watch_numbers(leader: Leader, settings: Settings, stop: asyncio.Event) -> None:
    """Read the numbers when the leader begins, and then every ten minutes, until `stop`."""
    tried_at: dict[str, float] = {}
    while True:
        await read_due(leader, settings, tried_at, time.monotonic(), stop)
        if await pause(stop, ROUND_S):
            return


async def read_due(
    leader: Leader, settings: Settings, tried_at: dict[str, float], now: float, stop: asyncio.Event
) -> None:
    """Read the numbers that were not tried lately. `now`: seconds of the clock by which they were tried."""
    async with leader.turn() as connection:
        used = await numbers.list_used(connection)
    for number in sorted(settings.known_numbers.union(used)):
        if now - tried_at.get(number, -math.inf) >= FRESH_S and not stop.is_set():
            tried_at[number] = now
            await _read(leader, settings, number)


async def _read(leader: Leader, settings: Settings, number: str) -> None:
    try:
        found = await read_number(settings, number)
    except NumberUnreadable as why:
        log.warning("a number cannot be read from the Cloud API", phone_number_id=number, error=str(why))
        return
    shown = ShownNumber(digits_of(found.display_phone_number) or None, found.quality, found.throughput, found.state)
    async with leader.turn() as connection:
        await numbers.write_read(connection, number, shown)
