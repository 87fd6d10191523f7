"""Group commit: items that arrive during a round make the next one, so that one round trip serves many.

It never retries: the work that it calls decides how to handle a failure. `producers.ingress.bundler.Bundler` differs:
it answers all items of a bundle alike and survives a failure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Rounds(Generic[ItemT, ResultT]):
    """Passes items to `work` in rounds, one round at a time. `run` must be a task while anyone adds items.

    `work` returns one result for each item, in order. An exception of `work` ends `run`, so a task group must await it.
    """

    def __init__(
        self, work: Callable[[list[ItemT]], Awaitable[list[ResultT]]], *, linger_s: float, round_max: int
    ) -> None:
        self._work = work
        self._linger_s = linger_s
        self._round_max = round_max
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT] | None]] = []
        self._has_items = asyncio.Event()
        self._unfinished = 0
        self._finished = asyncio.Event()

    async def submit(self, item: ItemT) -> ResultT:
        """Add an item to the next round and wait for its result."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._append(item, result)
        return await result

    def add(self, item: ItemT) -> None:
        """Add an item to the next round. Nobody waits for its result."""
        self._append(item, None)

    def _append(self, item: ItemT, result: asyncio.Future[ResultT] | None) -> None:
        self._waiting.append((item, result))
        self._unfinished += 1
        self._has_items.set()

    async def fewer_than(self, limit: int) -> None:
        """Return when fewer items than this wait or are in a round, or when the rounds have ended."""
        while self._unfinished >= limit:
            self._finished.clear()
            await self._finished.wait()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        try:
            while True:
                await self._has_items.wait()
                await asyncio.sleep(self._linger_s)
                await self._run_round()
        finally:
            self._unfinished = 0  # nobody works on these items any more
            self._finished.set()

    async def _run_round(self) -> None:
        taken, self._waiting = self._waiting[: self._round_max], self._waiting[self._round_max :]
        if not self._waiting:
            self._has_items.clear()
        results = await self._work([item for item, _ in taken])
        self._unfinished -= len(taken)
        self._finished.set()
        for (_, future), result in zip(taken, results, strict=True):
            if future is not None and not future.done():  # its submitter may have been cancelled
                future.set_result(result)
