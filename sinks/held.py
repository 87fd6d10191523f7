"""Applies the events that waited for rows which another session had locked, once the rows are free."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.dead_letters import DeadItem
from sinks.apply import Applied, KnownPhoneNumbers, apply_events, find_refused, is_caused_by_events
from sinks.batch import decode_batch
from sinks.letters import BatchLetters
from tables import held_events
from tables.database import Connection
from tables.held_events import FIRST, HeldEvent
from topics.decoding import dead_item

EVERY_S = 1.0
ROWS_MAX = 500


@dataclass(slots=True)
class HeldRound:
    """The result of one round."""

    applied: Applied = field(default_factory=Applied)
    events: int = 0
    """Events that were applied or refused."""


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some held events, those that cannot be read, and the place after them."""

    held: Sequence[HeldEvent]
    unreadable: Sequence[HeldEvent]
    next: int


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
        async with connection.transaction():
            page, unreadable = await self._page(connection)
            free = await self._free(connection, page.held)
            applied = await self._write(connection, free)
            done = [each for at, each in enumerate(free) if at not in applied.refused]
            await held_events.release(connection, done)
        refused = [free[at] for at in applied.refused]
        letters = [dead_item(free[at].record, reason) for at, reason in applied.refused.items()]
        await self._dead_letter(connection, [*page.unreadable, *refused], [*unreadable, *letters])
        self._after = page.next
        return HeldRound(applied, len(free))

    async def _apply_alone(self, connection: Connection) -> HeldRound:
        """Apply each held event of the page alone, because one of them cannot be applied."""
        result = HeldRound()
        async with connection.transaction():
            page, _ = await self._page(connection)
        for each in page.held:
            async with connection.transaction():
                is_free = bool(await self._free(connection, [each]))
            if not is_free:
                continue
            event = decode_batch([each.record])[0]
            if reasons := await find_refused(connection, event, self._numbers, each.record.at):
                await self._dead_letter(connection, [each], [dead_item(each.record, reasons[0])])
            else:
                async with connection.transaction():
                    result.applied.add(await self._write(connection, [each]), [result.events])
                    await held_events.release(connection, [each])
            result.events += 1
        self._after = page.next
        return result

    async def _page(self, connection: Connection) -> tuple[HeldPage, list[DeadItem]]:
        """The next page, and the dead items of those that this version cannot read."""
        taken = await held_events.take(connection, self._after, ROWS_MAX)
        following = taken[-1].id if len(taken) == ROWS_MAX else FIRST
        held, unreadable, letters = [], [], list[DeadItem]()
        for each in taken:
            if dead := decode_batch([each.record])[2]:
                unreadable.append(each)
                letters += dead
            else:
                held.append(each)
        return HeldPage(held, unreadable, following), letters

    async def _free(self, connection: Connection, held: Sequence[HeldEvent]) -> list[HeldEvent]:
        """Those whose rows are free. Their rows are locked until the end of the transaction."""
        if not held:
            return []
        locked = await held_events.find_locked(connection, decode_batch([each.record for each in held])[0])
        return [each for at, each in enumerate(held) if at not in locked]

    async def _write(self, connection: Connection, held: Sequence[HeldEvent]) -> Applied:
        if not held:
            return Applied()
        events = decode_batch([each.record for each in held])[0]
        return await apply_events(connection, events, self._numbers, max(each.record.at for each in held))

    async def _dead_letter(
        self, connection: Connection, held: Sequence[HeldEvent], letters: Sequence[DeadItem]
    ) -> None:
        """No row is locked here: Kafka acknowledges the letters before the events are forgotten."""
        if not held:
            return
        records = [each.record for each in held]
        await self._letters.publish(letters, records)
        await held_events.release(connection, held)
        self._letters.forget(records)
