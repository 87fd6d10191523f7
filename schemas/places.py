"""Places in Kafka: records, offsets, ranges, and the identity of a topic. Nothing here talks to Kafka."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Ranges = dict[int, tuple[int, int]]
"""Per partition the first offset and the one after the last."""

Watermarks = dict[int, tuple[int, int]]
"""Per partition the first offset that is kept, and the one that the next record will get."""


_PLACE = re.compile(r"(?P<topic>[\w.-]+)/(?P<partition>\d{1,9})@(?P<offset>\d{1,18})(\[(?P<item>\d{1,9})\])?", re.ASCII)


class Place(NamedTuple):
    """Where a record is, or one item of it. Everywhere it is spelled `topic/partition@offset[item]`."""

    topic: str
    partition: int
    offset: int
    item: int | None = None
    """The index of a body in a bundle."""

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}" + ("" if self.item is None else f"[{self.item}]")

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a place from its spelling. Raises ValueError."""
        found = _PLACE.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r} is not a place; expected topic/partition@offset, such as webhooks.raw.dead/0@17"
            )
        item = found["item"]
        return cls(found["topic"], int(found["partition"]), int(found["offset"]), None if item is None else int(item))


Headers = Sequence[tuple[str, bytes]]


class Outgoing(NamedTuple):
    """One record to be published, to a topic by its real name."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None


class Record(NamedTuple):
    """One record as it was read from a topic (by its real name). It is a tuple, because readers create millions."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    at: datetime = EPOCH
    """When it was written, if its reader needs that."""
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def place(self) -> Place:
        """Where it was read."""
        return Place(self.topic, self.partition, self.offset)


REMEDY = "If the topic is correct as it is now, run `campaigns sink --accept-topic` to apply it from its beginning."


class OffsetMismatch(Exception):
    """A stored offset does not fit the topic: records were lost, or the topic was recreated. Restarts do not help."""


def require_kept(place: Place, watermarks: tuple[int, int]) -> None:
    """Raise OffsetMismatch if the topic does not have the stored offset `place`, which is the next one to be applied.

    The high watermark is evidence only if it was read after the offset. Another sink may advance the offset meanwhile.
    """
    low, high = watermarks
    where = f"{place.topic}/{place.partition}"
    if place.offset < low:
        raise OffsetMismatch(
            f"{where}: offsets {place.offset} to {low - 1} were deleted before they were applied. {REMEDY}"
        )
    if place.offset > high:
        raise OffsetMismatch(
            f"{where}: the stored offset {place.offset} is beyond the end, {high}: records were lost. {REMEDY}"
        )


@dataclass(frozen=True, slots=True)
class TopicIdentity:
    """The identity of a topic. A name may be reused after a deletion; the ids of cluster and topic are never reused."""

    cluster_id: str
    topic: str
    topic_id: str


def count(ranges: Mapping[int, tuple[int, int]]) -> int:
    """How many offsets the ranges hold."""
    return sum(end - start for start, end in ranges.values())
