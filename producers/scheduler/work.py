"""Wakes the loops of the leader when there is work for them.

Each loop reads its own rows once a second. Without campaigns and changes all of them would find nothing, some twenty
times a second together. One look for all of them takes their place: a loop without work waits for a look that finds
some. With work each loop goes on at its own pace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from runtime.waiting import pause
from tables.leadership import Leader
from tables.work import EVERY, WorkKind, find_work

LOOK_S = 0.5
"""Pause between two looks. A release begins so long after the activation of a campaign at most."""


def nothing() -> None:
    """For a loop that reports nothing while it waits."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A loop without work."""

    wanted: frozenset[WorkKind]
    arrived: asyncio.Future[None]
    idle: Callable[[], None]


class WorkWatch:
    """What there is to do, as of the last look. Before the first look there may be anything."""

    def __init__(self, look_s: float = LOOK_S) -> None:
        self._look_s = look_s
        self._found = EVERY
        self._waiting: list[_Waiting] = []

    async def run(self, leader: Leader, stop: asyncio.Event) -> None:
        """Look until `stop`. Raises psycopg.Error when the connection is lost."""
        while not await pause(stop, self._look_s):
            async with leader.turn() as connection:
                found = await find_work(connection)
            self._note(found)
        self._note(EVERY)

    async def next_round(
        self, stop: asyncio.Event, wanted: frozenset[WorkKind], seconds: float, idle: Callable[[], None] = nothing
    ) -> frozenset[WorkKind] | None:
        """Wait for `seconds`, and then until there is work of these kinds. Returns it, or None once `stop` is set.

        `idle` is called with each look that finds no such work.
        """
        if await pause(stop, seconds):
            return None
        while not (found := self._found & wanted):
            waiting = _Waiting(wanted, asyncio.get_running_loop().create_future(), idle)
            self._waiting.append(waiting)
            try:
                await waiting.arrived
            finally:
                self._waiting.remove(waiting)
        return None if stop.is_set() else found

    def _note(self, found: frozenset[WorkKind]) -> None:
        self._found = found
        for each in self._waiting:
            if not found & each.wanted:
                each.idle()
            elif not each.arrived.done():
                each.arrived.set_result(None)
