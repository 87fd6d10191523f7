"""Remembers the dead letters that an operator has redriven or dropped. The letters themselves stay in their topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from schemas.places import Watermarks
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("dead_letters")


async def find_acts(
    connection: Connection, topic_id: str, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], str]:
    """What an operator did with these letters, by (partition, offset). Letters without an act are missing."""
    values = {
        "topic_id": topic_id,
        "partitions": plain(partition for partition, _ in places),
        "offsets": plain(offset for _, offset in places),
    }
    rows = await (await connection.execute(_SQL["find_acts"], values)).fetchall()
    return {(partition, offset): act for partition, offset, act in rows}


async def record_acts(
    connection: Connection, topic: str, topic_id: str, act: str, places: Sequence[tuple[int, int]]
) -> None:
    """Remember that these letters of one topic, by (partition, offset), were redriven or dropped."""
    values = {
        "topic": topic,
        "topic_id": topic_id,
        "act": act,
        "partitions": plain(partition for partition, _ in places),
        "offsets": plain(offset for _, offset in places),
    }
    await connection.execute(_SQL["record_acts"], values)


async def count_acts(connection: Connection, kept: Mapping[str, Watermarks]) -> dict[str, int]:
    """How many letters between the watermarks of each topic were redriven or dropped, by topic id."""
    ranges = [(topic_id, p, low, high) for topic_id, marks in kept.items() for p, (low, high) in marks.items()]
    values = {
        "topic_ids": [topic_id for topic_id, _, _, _ in ranges],
        "partitions": [partition for _, partition, _, _ in ranges],
        "lows": [low for _, _, low, _ in ranges],
        "highs": [high for _, _, _, high in ranges],
    }
    rows = await (await connection.execute(_SQL["count_acts"], values)).fetchall()
    return {topic_id: int(n) for topic_id, n in rows}
