"""What replays have applied to rows beside the sink: an audit reads it again, or the rows would seem to know too much.

A replay moves its position in the transaction that changes the rows, as the sink does, so both can be read exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from operations.shadow import ShadowTables
from schemas.model import CampaignId
from tables.replay_runs import read_replayed

Interval = tuple[int, int]
"""The first offset and the one after the last."""


@dataclass(frozen=True, slots=True)
class AppliedSpan:
    """What one replay has applied of one partition."""

    topic: str
    cluster_id: str
    topic_id: str
    campaign: CampaignId | None
    at: datetime
    """When the run last did something."""
    partition: int
    first: int
    following: int


async def read_spans(side: ShadowTables, campaign: CampaignId | None) -> list[AppliedSpan]:
    """What was replayed that may concern a campaign, as the transaction of this connection sees it."""
    return [AppliedSpan(*row) for row in await read_replayed(side.connection, campaign)]


def uncovered(wanted: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """The parts of an interval that none of the others holds."""
    parts = []
    first, following = wanted
    for start, end in sorted(covered):
        if first < start < following:
            parts.append((first, start))
        if start <= first or start < following:
            first = max(first, end)
    if first < following:
        parts.append((first, following))
    return parts


def rounds(todo: Sequence[tuple[int, Interval]]) -> list[dict[int, Interval]]:
    """Intervals of partitions as ranges to be read one after the other, each with one interval of a partition."""
    found: list[dict[int, Interval]] = []
    for partition, interval in todo:
        for ranges in found:
            if partition not in ranges:
                ranges[partition] = interval
                break
        else:
            found.append({partition: interval})
    return found
