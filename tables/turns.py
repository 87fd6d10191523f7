"""Lets several batches of one list be inserted at once, and take effect in the order of the list.

Each batch has a transaction of its own. A batch inserts while the one before it is under way, and commits after it. So
a crash leaves the first batches of the list, and the ids of the people ascend as in the list.

A batch that waits for its turn holds the locks of its rows, which Postgres does not know. Two clients that add the same
people in another order could wait for each other for ever. So a batch waits for a limited time. Then it is rolled back,
and inserted again in its turn.
"""

from __future__ import annotations

import asyncio

HELD_S = 1.0
"""How long a batch waits for its turn with the locks of its rows."""


class OutOfTurn(Exception):
    """The batches before take long, so the transaction of this batch must release its locks."""


class Turn:
    """The place of one batch in the order. Without a batch before it, its turn is now."""

    def __init__(self, before: Turn | None = None) -> None:
        self._before = before
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.time_ms = 0

    async def begin(self, now_ms: int) -> None:
        """Set the time for the ids of this batch: `now_ms`, or later than that of the batch before."""
        before = self._before
        if before is not None:
            await before.began.wait()
            now_ms = max(now_ms, before.time_ms + 1)
        self.time_ms = now_ms
        self.began.set()

    async def comes(self) -> None:
        """Wait until the batch before has ended."""
        if self._before is not None:
            await self._before.ended.wait()

    async def comes_soon(self) -> None:
        """The same for a transaction that holds locks. Raises OutOfTurn after a limited time."""
        try:
            async with asyncio.timeout(HELD_S):
                await self.comes()
        except TimeoutError:
            raise OutOfTurn from None

    def end(self) -> None:
        """The batch was committed. A batch that was not is never ended, and its followers must be cancelled."""
        if not self.began.is_set() and self._before is not None:
            self.time_ms = self._before.time_ms
        self._before = None
        self.began.set()
        self.ended.set()
