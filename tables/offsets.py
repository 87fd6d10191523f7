"""Where the sink stands in each partition, kept in Postgres in the transaction that holds the effect.

A position is bound to cluster and topic by their ids: an offset of a topic that was deleted and made anew means
nothing. Advancing is a compare-and-set, so a sink that lost its partition without knowing cannot write.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from schemas.places import REMEDY, OffsetBeyondEnd, OffsetMismatch, TopicIdentity
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

SQL = load("offsets")

MOVED_STATE = "CS001"
"""The SQLSTATE that advance_sink_offset raises."""


def has_moved(error: BaseException) -> bool:
    """Whether another sink advanced the offset first: re-read and seek."""
    return isinstance(error, psycopg.Error) and error.sqlstate == MOVED_STATE


async def read_offsets(
    connection: Connection, identity: TopicIdentity, available: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    """The next offset of each partition in `available` (its low and high watermark); the low one where none is stored.

    Raises OffsetMismatch where the stored one belongs to another topic or lies outside the watermarks.
    """
    partitions = sorted(available)
    lows = [available[partition][0] for partition in partitions]
    parameters = {
        "topic": identity.topic, "cluster_id": identity.cluster_id, "topic_id": identity.topic_id,
        "partitions": plain(partitions), "lows": plain(lows),
    }  # fmt: skip
    await connection.execute(SQL["start_offsets"], parameters)
    cursor = await connection.execute(SQL["read_offsets"], parameters)
    positions: dict[int, int] = {}
    for partition, cluster_id, topic_id, offset in await cursor.fetchall():
        _check(identity, partition, (cluster_id, topic_id), offset, available[partition])
        positions[partition] = offset
    return positions


async def advance_offsets(
    connection: Connection, identity: TopicIdentity, moves: Mapping[int, tuple[int, int]]
) -> None:
    """Move partitions from their expected to their next offset. Raises psycopg.Error, see `has_moved`."""
    partitions = sorted(moves)
    await connection.execute(
        SQL["advance_offsets"],
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
    """Take the topic as it is now, from its beginning: safe, because applying records again changes nothing."""
    await connection.execute(
        SQL["accept_topic"],
        {
            "topic": identity.topic, "cluster_id": identity.cluster_id, "topic_id": identity.topic_id,
            "partitions": plain(sorted(available)),
            "lows": plain(available[partition][0] for partition in sorted(available)),
            "highs": plain(available[partition][1] for partition in sorted(available)),
        },
    )  # fmt: skip


def _check(
    identity: TopicIdentity, partition: int, stored: tuple[str, str], offset: int, watermarks: tuple[int, int]
) -> None:
    low, high = watermarks
    where = f"{identity.topic}/{partition}"
    if stored != (identity.cluster_id, identity.topic_id):
        said = f"{where} is not the topic that offset {offset} was stored for: it was made anew. {REMEDY}"
        raise OffsetMismatch(said)
    if offset < low:
        raise OffsetMismatch(f"{where}: offsets {offset} to {low - 1} were deleted before they were applied. {REMEDY}")
    if offset > high:
        said = f"{where}: the stored offset {offset} is beyond the end, {high}: records were lost. {REMEDY}"
        raise OffsetBeyondEnd(said, partition, offset)
