"""The ranges that replays have applied. An audit reads them again, because the rows contain their events as well.

A replay stores its position in the transaction that changes the rows, as the sink does, so both are exact.
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
    """The range of one partition that one replay has applied."""

    topic: str
    cluster_id: str
    topic_id: str
    campaign: CampaignId | None
    at: datetime
    """When the run last made progress."""
    partition: int
    first: int
    following: int


async def read_spans(shadow: ShadowTables, campaign: CampaignId | None) -> list[AppliedSpan]:
    """The applied ranges that may concern a campaign, as the transaction of this connection sees them."""
    return [AppliedSpan(*row) for row in await read_replayed(shadow.connection, campaign)]


def uncovered(wanted: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """The parts of an interval that no other interval covers."""
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
    """Divide intervals into ranges that are read one after the other. Each has one interval per partition."""
    found: list[dict[int, Interval]] = []
    for partition, interval in todo:
        for ranges in found:
            if partition not in ranges:
                ranges[partition] = interval
                break
        else:
            found.append({partition: interval})
    return found
