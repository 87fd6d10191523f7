"""The sink's offsets, stored in Postgres in the transaction that writes the rows.

Kafka's own committed offsets cannot be part of a Postgres transaction. A crash between the two commits would apply a
batch twice or lose it. So the next offset of each partition is a row of `sink_offsets`, and the transaction that
writes the rows also moves it: both become visible together, or neither. The sink starts from the stored offsets. It
also commits them to Kafka, but only so that Kafka's tools can show its lag.

The move is a compare-and-set. A sink can lose a partition in a rebalance without noticing (it was frozen, or cut off
from Kafka) and still finish its transaction while the new owner works. Both read the same expected offset, but only
the first of them finds it in the row. The other one's statement raises CS001 (`has_moved`), which rolls back its whole
transaction, rows included. It then reads the offsets again and seeks.

An offset means something only in the topic that it was counted in. Each row therefore holds the ids of cluster and
topic: the offsets of a topic that was deleted and recreated are refused, not applied to other records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg

from schemas.places import REMEDY, OffsetMismatch, TopicIdentity
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("offsets")

MOVED_STATE = "CS001"
"""The SQLSTATE that advance_sink_offset raises."""


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """One row: how far the sink has applied a partition, and of which topic."""

    next_offset: int
    cluster_id: str
    topic_id: str
    accepted_at: datetime | None
    """When an operator accepted a recreated topic."""


def has_moved(error: BaseException) -> bool:
    """Whether another sink advanced the offset first. The caller reads the offsets again and seeks."""
    return isinstance(error, psycopg.Error) and error.sqlstate == MOVED_STATE


async def read_stored(connection: Connection, topic: str) -> dict[int, StoredOffset]:
    """The rows of all partitions of a topic."""
    cursor = await connection.execute(_SQL["read_offsets"], {"topic": topic})
    return {row[0]: StoredOffset(*row[1:]) for row in await cursor.fetchall()}


async def read_positions(connection: Connection, topic: str) -> dict[int, int]:
    """The next offset of each partition of a topic, whatever topic it was counted in."""
    return {partition: stored.next_offset for partition, stored in (await read_stored(connection, topic)).items()}


async def read_offsets(
    connection: Connection, identity: TopicIdentity, available: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    """The next offset of each partition in `available`, which gives its low and high watermark.

    A partition without a stored offset starts at the low watermark. Raises OffsetMismatch where the stored offset
    belongs to another topic. The caller checks the offsets with `schemas.places.require_kept`.
    """
    partitions = sorted(available)
    lows = [available[partition][0] for partition in partitions]
    parameters = {
        "topic": identity.topic, "cluster_id": identity.cluster_id, "topic_id": identity.topic_id,
        "partitions": plain(partitions), "lows": plain(lows),
    }  # fmt: skip
    await connection.execute(_SQL["start_offsets"], parameters)
    stored = await read_stored(connection, identity.topic)
    for partition in partitions:
        _require_same_topic(identity, partition, stored[partition])
    return {partition: stored[partition].next_offset for partition in partitions}


async def is_lost(connection: Connection, identity: TopicIdentity, available: Mapping[int, tuple[int, int]]) -> bool:
    """Whether a stored offset belongs to another topic, or is one that the topic does not have."""
    stored = await read_stored(connection, identity.topic)
    return any(
        (known.cluster_id, known.topic_id) != (identity.cluster_id, identity.topic_id)
        or not available.get(partition, (0, 0))[0] <= known.next_offset <= available.get(partition, (0, 0))[1]
        for partition, known in stored.items()
    )


async def advance_offsets(
    connection: Connection, identity: TopicIdentity, moves: Mapping[int, tuple[int, int]]
) -> None:
    """Move each partition from its expected to its next offset. Raises psycopg.Error, see `has_moved`."""
    partitions = sorted(moves)
    await connection.execute(
        _SQL["advance_offsets"],
        {
            "topic": identity.topic, "cluster_id": identity.cluster_id, "topic_id": identity.topic_id,
            "partitions": plain(partitions),
            "expected": plain(moves[partition][0] for partition in partitions),
            "next": plain(moves[partition][1] for partition in partitions),
        },
        prepare=True,
    )  # fmt: skip


async def accept_topic(
    connection: Connection, identity: TopicIdentity, available: Mapping[int, tuple[int, int]]
) -> None:
    """Bind the offsets to the topic as it is now, at its beginning. Applying records again changes no row."""
    await connection.execute(
        _SQL["accept_topic"],
        {
            "topic": identity.topic, "cluster_id": identity.cluster_id, "topic_id": identity.topic_id,
            "partitions": plain(sorted(available)),
            "lows": plain(available[partition][0] for partition in sorted(available)),
            "highs": plain(available[partition][1] for partition in sorted(available)),
        },
    )  # fmt: skip


def _require_same_topic(identity: TopicIdentity, partition: int, stored: StoredOffset) -> None:
    if (stored.cluster_id, stored.topic_id) != (identity.cluster_id, identity.topic_id):
        raise OffsetMismatch(
            f"{identity.topic}/{partition} was recreated: offset {stored.next_offset} was stored for a topic that no "
            f"longer exists. {REMEDY}"
        )
