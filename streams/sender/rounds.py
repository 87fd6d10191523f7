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
    """Passes submitted items to `work` in rounds, one round at a time. `run` must be a task while anyone submits.

    `work` returns one result for each item, in order. An exception of `work` ends `run`, so a task group must await it.
    """

    def __init__(
        self, work: Callable[[list[ItemT]], Awaitable[list[ResultT]]], *, linger_s: float, round_max: int
    ) -> None:
        self._work = work
        self._linger_s = linger_s
        self._round_max = round_max
        self._waiting: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        self._has_items = asyncio.Event()

    async def submit(self, item: ItemT) -> ResultT:
        """Add an item to the next round and wait for its result."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        self._has_items.set()
        return await result

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await self._has_items.wait()
            await asyncio.sleep(self._linger_s)
            taken, self._waiting = self._waiting[: self._round_max], self._waiting[self._round_max :]
            if not self._waiting:
                self._has_items.clear()
            results = await self._work([item for item, _ in taken])
            for (_, future), result in zip(taken, results, strict=True):
                if not future.done():  # its submitter may have been cancelled
                    future.set_result(result)
