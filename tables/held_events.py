"""Events that the sink has passed and not applied yet, because another session has locked their recipient.

A session of an operator may hold a row for minutes. The sink then keeps the events of this recipient here, in the
transaction that moves its offsets past them, and applies everything else. The facts of a recipient merge in any order,
so it does not matter that later events are applied before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.events import RecipientEvent
from schemas.places import Record
from tables.arrays import plain, text
from tables.database import Connection
from tables.statements import load

_SQL = load("held_events")
FIRST = 0
"""The place before all held events."""


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """One held record. `id` is its place among the held ones."""

    id: int
    record: Record


async def find_locked(connection: Connection, events: Sequence[RecipientEvent]) -> dict[int, UUID | None]:
    """The positions of the events whose recipient or message another transaction has locked, with the recipient.

    The free rows are locked until the end of the caller's transaction, so a merge in it waits for none of them.
    """
    values = {"ids": plain(event.recipient_id for event in events), "wamids": text(event.wamid for event in events)}
    cursor = await connection.execute(_SQL["find_locked"], values)
    return {line - 1: recipient for line, recipient in await cursor.fetchall()}


async def hold(connection: Connection, records: Sequence[tuple[Record, UUID | None]]) -> None:
    """Keep these records, each with the recipient that is locked."""
    if not records:
        return
    rows = [
        (
            recipient, record.topic, record.partition, record.offset, record.key, record.value,
            [name for name, _ in record.headers], [value for _, value in record.headers], record.at,
        )
        for record, recipient in records
    ]  # fmt: skip
    async with connection.cursor() as cursor:
        await cursor.executemany(_SQL["hold"], rows)


async def is_any(connection: Connection) -> bool:
    """Whether anything is held. It costs a quarter of an empty round with its transaction."""
    row = await (await connection.execute(_SQL["is_any"])).fetchone()
    assert row is not None, "EXISTS always answers"
    return bool(row[0])


async def take(connection: Connection, after: int, limit: int) -> list[HeldEvent]:
    """The next held records after a place, locked until the end of the caller's transaction."""
    cursor = await connection.execute(_SQL["take"], {"after": after, "limit": limit})
    return [
        HeldEvent(id_, Record(topic, partition, offset, key, value, at, tuple(zip(names, values, strict=True))))
        for id_, topic, partition, offset, key, value, names, values, at in await cursor.fetchall()
    ]


async def release(connection: Connection, held: Collection[HeldEvent]) -> None:
    """Forget records that were applied or dead-lettered."""
    await connection.execute(_SQL["release"], {"ids": [each.id for each in held]})


async def recipients_among(connection: Connection, ids: Collection[UUID]) -> frozenset[UUID]:
    """Those of these recipients that have held events."""
    cursor = await connection.execute(_SQL["find_recipients"], {"ids": plain(ids)})
    return frozenset(row[0] for row in await cursor.fetchall())
