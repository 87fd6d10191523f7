"""Applies the events that waited for rows which another session had locked, once the rows are free."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from runtime.tracing import now_ns
from schemas.dead_letters import DeadItem
from schemas.events import RecipientEvent
from sinks.apply import Applied, KnownPhoneNumbers, apply_events, find_refused, is_caused_by_events
from sinks.letters import BatchLetters
from sinks.spans import record_applied
from tables import held_events
from tables.database import Connection
from tables.held_events import FIRST, HeldEvent
from topics.decoding import dead_item, decoded

EVERY_S = 1.0
ROWS_MAX = 500


@dataclass(slots=True)
class HeldRound:
    """The result of one round."""

    applied: Applied = field(default_factory=Applied)
    events: int = 0
    """Events that were applied or refused."""


Readable = tuple[HeldEvent, RecipientEvent]
"""A held record, and the event in it."""


@dataclass(slots=True)
class HeldPage:
    """Some held events, and the place after them."""

    next: int
    readable: list[Readable] = field(default_factory=list)
    unreadable: list[tuple[HeldEvent, DeadItem]] = field(default_factory=list)
    """Those that this version cannot read, each as a dead item."""


class HeldEvents:
    """Tries a page of the held events every second, so that no locked row keeps the others behind it."""

    def __init__(self, letters: BatchLetters, numbers: KnownPhoneNumbers) -> None:
        self._letters = letters
        self._numbers = numbers
        self._after = FIRST
        self._next_at = 0.0

    async def apply(self, connection: Connection) -> HeldRound:
        """Apply the free ones of the next page, if it is time.

        Raises psycopg.Error, PublishFailed and TooManyDeadLetters.
        """
        if time.monotonic() < self._next_at:
            return HeldRound()
        self._next_at = time.monotonic() + EVERY_S
        try:
            return await self._apply_together(connection)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
            return await self._apply_alone(connection)

    async def _apply_together(self, connection: Connection) -> HeldRound:
        if not await held_events.is_any(connection):
            self._after = FIRST
            return HeldRound()
        started_ns = now_ns()
        async with connection.transaction():
            page = await self._page(connection)
            free = await self._free(connection, page.readable)
            applied = await self._write(connection, free)
            await held_events.release(
                connection, [held for at, (held, _) in enumerate(free) if at not in applied.refused]
            )
        record_applied([event for _, event in free], [held.record for held, _ in free], applied.refused, started_ns)
        refused = [(free[at][0], dead_item(free[at][0].record, reason)) for at, reason in applied.refused.items()]
        await self._dead_letter(connection, [*page.unreadable, *refused])
        self._after = page.next
        return HeldRound(applied, len(free))

    async def _apply_alone(self, connection: Connection) -> HeldRound:
        """Apply each held event of the page alone, because one of them cannot be applied."""
        result = HeldRound()
        async with connection.transaction():
            page = await self._page(connection)
        for held, event in page.readable:
            async with connection.transaction():
                is_free = bool(await self._free(connection, [(held, event)]))
            if not is_free:
                continue
            if reasons := await find_refused(connection, [event], self._numbers, held.record.at):
                await self._dead_letter(connection, [(held, dead_item(held.record, reasons[0]))])
            else:
                async with connection.transaction():
                    result.applied.add(await self._write(connection, [(held, event)]), [result.events])
                    await held_events.release(connection, [held])
            result.events += 1
        self._after = page.next
        return result

    async def _page(self, connection: Connection) -> HeldPage:
        taken = await held_events.take(connection, self._after, ROWS_MAX)
        page = HeldPage(taken[-1].id if len(taken) == ROWS_MAX else FIRST)
        for held in taken:
            found = decoded(RecipientEvent, held.record)
            if isinstance(found, DeadItem):
                page.unreadable.append((held, found))
            else:
                page.readable.append((held, found))
        return page

    @staticmethod
    async def _free(connection: Connection, readable: Sequence[Readable]) -> list[Readable]:
        """Those whose rows are free. Their rows are locked until the end of the transaction."""
        if not readable:
            return []
        locked = await held_events.find_locked(connection, [event for _, event in readable])
        return [each for at, each in enumerate(readable) if at not in locked]

    async def _write(self, connection: Connection, readable: Sequence[Readable]) -> Applied:
        if not readable:
            return Applied()
        written_at = max(held.record.at for held, _ in readable)
        return await apply_events(connection, [event for _, event in readable], self._numbers, written_at)

    async def _dead_letter(self, connection: Connection, dead: Sequence[tuple[HeldEvent, DeadItem]]) -> None:
        """No row is locked here: Kafka acknowledges the letters before the events are forgotten."""
        if not dead:
            return
        records = [held.record for held, _ in dead]
        await self._letters.publish([item for _, item in dead], records)
        await held_events.release(connection, [held for held, _ in dead])
        self._letters.forget(records)
