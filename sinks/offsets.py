"""Where the sink stands in each partition, kept in Postgres in the transaction that holds the effect.

A position is bound to cluster and topic by their ids: an offset of a topic that was deleted and made anew means
nothing. Advancing is a compare-and-set, so a sink that lost its partition without knowing cannot write.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from sinks.arrays import plain
from sinks.database import Connection
from sinks.statements import load

SQL = load("offsets")

MOVED_STATE = "CS001"
"""The SQLSTATE that advance_sink_offset raises."""


REMEDY = "If the topic is meant as it is, `campaigns sink --accept-topic` applies it from its beginning."


class Misplaced(Exception):
    """A stored offset does not fit the topic, so records were lost or the topic is another one. No restart helps."""


class BeyondEnd(Misplaced):
    """The stored offset is beyond the end that was asked for before it was read: another sink may have moved it on."""

    def __init__(self, said: str, partition: int, offset: int) -> None:
        super().__init__(said)
        self.partition = partition
        self.offset = offset


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """Which topic exactly: the ids of cluster and topic never repeat, its name may."""

    cluster_id: str
    topic: str
    topic_id: str


def has_moved(error: BaseException) -> bool:
    """Whether another sink advanced the offset first: re-read and seek."""
    return isinstance(error, psycopg.Error) and error.sqlstate == MOVED_STATE


async def read_offsets(
    connection: Connection, identity: TopicIdentity, available: Mapping[int, tuple[int, int]]
) -> dict[int, int]:
    """The next offset of each partition in `available` (its low and high watermark); the low one where none is stored.

    Raises Misplaced where the stored one belongs to another topic or lies outside the watermarks.
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
        raise Misplaced(f"{where} is not the topic that offset {offset} was stored for: it was made anew. {REMEDY}")
    if offset < low:
        raise Misplaced(f"{where}: offsets {offset} to {low - 1} were deleted before they were applied. {REMEDY}")
    if offset > high:
        said = f"{where}: the stored offset {offset} is beyond the end, {high}: records were lost. {REMEDY}"
        raise BeyondEnd(said, partition, offset)
