"""Finds the recipients whose usual events are left to the general way: those without a row, and those with a time that
is too long before their campaign.

The search goes on in Postgres while the next records are decoded, so a batch hardly waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.fold import BEFORE_CAMPAIGN_MAX
from domain.usual_fold import UsualFacts
from tables.database import Connection
from tables.recipients import dated_columns, find_refused


class RefusedSearch:
    """The search for one batch. Nothing is searched twice, unless an earlier time is found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._searched: dict[bytes, datetime] = {}
        """The earliest time of each recipient that was searched."""
        self._asked: Sequence[bytes] = ()
        self._answer: asyncio.Task[list[int]] | None = None
        self._refused: set[bytes] = set()

    async def begin(self, facts: Iterable[UsualFacts]) -> None:
        """Search for those that are new or have an earlier time, once the search before has ended.

        Raises psycopg.Error.
        """
        await self.end()
        new = [each for each in facts if self._searched.get(each.id) != each.sent_at]
        if new:
            self._searched.update((each.id, each.sent_at) for each in new)
            self._asked = [each.id for each in new]
            self._answer = asyncio.create_task(
                find_refused(self._connection, dated_columns(new), BEFORE_CAMPAIGN_MAX), name="refused-search"
            )

    async def end(self) -> set[bytes]:
        """Wait for the answer; returns the ids of all that were found. Raises psycopg.Error."""
        if self._answer is not None:
            answer, self._answer = self._answer, None
            self._refused.update(self._asked[at] for at in await answer)
        return self._refused

    async def cancel(self) -> None:
        """Give a search up that nobody awaits any more."""
        if self._answer is not None:
            self._answer.cancel()
            await asyncio.gather(self._answer, return_exceptions=True)
