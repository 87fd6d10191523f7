"""What this sender has just learned, and Postgres may not know yet: answers that may open a breaker.

A claim and a renewal obey the breakers as they were when the statement was issued. After such an answer, every other
message of its scope first waits until the answer is in the ledger, and then needs a renewal that was issued later. So a
wrong token costs the messages that were in flight, and no more. Nothing here decides; the breakers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Iterator

from domain.breakers import Scope
from domain.signals import Signals

EVERYWHERE = ""
"""The trouble concerns every number: the account or the endpoint. No phone number has this id."""


class Trouble:
    """Answers that are not settled yet, and when the last one was settled. `clock`: seconds since boot."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._pending: dict[asyncio.Future[None], str] = {}
        self._settled_at: dict[str, float] = {}

    @contextlib.contextmanager
    def settling(self, number: str, signals: Signals) -> Iterator[None]:
        """Inside the block the outcome is being settled."""
        if not signals.is_trouble:
            yield
            return
        where = EVERYWHERE if signals.concerns(Scope.ACCOUNT, Scope.ENDPOINT) else number
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[settled] = where
        try:
            yield
        finally:
            del self._pending[settled]
            self._settled_at[where] = self._clock()
            settled.set_result(None)

    def pending(self, number: str) -> Collection[asyncio.Future[None]]:
        """Troubles of this number that are not settled now."""
        if not self._pending:
            return ()  # as for nearly every message
        return [settled for settled, where in self._pending.items() if where in (number, EVERYWHERE)]

    def settled_at(self, number: str) -> float:
        """When the last trouble of this number was settled."""
        return max(self._settled_at.get(number, -math.inf), self._settled_at.get(EVERYWHERE, -math.inf))
