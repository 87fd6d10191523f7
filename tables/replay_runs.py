"""The progress of replays, stored in the transaction that applies the records: an interrupted run can resume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from schemas.model import CampaignId
from schemas.places import Ranges, Record, TopicIdentity, count
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("replay_runs")


@dataclass(slots=True)
class ReplayRun:
    """One replay. `ranges` is the part that is not applied yet."""

    id: UUID
    topic: str
    cluster_id: str
    topic_id: str
    campaign_id: CampaignId | None
    ranges: Ranges
    records_total: int
    records_done: int = 0
    events_done: int = 0
    rows_changed: int = 0


async def start(
    connection: Connection, identity: TopicIdentity, campaign: CampaignId | None, ranges: Ranges
) -> ReplayRun:
    """Store a new run over these ranges."""
    run = ReplayRun(uuid4(), identity.topic, identity.cluster_id, identity.topic_id, campaign, ranges, count(ranges))
    values = {
        "id": run.id, "topic": run.topic, "cluster_id": run.cluster_id, "topic_id": run.topic_id,
        "campaign": campaign, "records": run.records_total,
        "partitions": plain(ranges), "firsts": plain(start for start, _ in ranges.values()),
        "ends": plain(end for _, end in ranges.values()),
    }  # fmt: skip
    async with connection.transaction():
        await connection.execute(_SQL["start_run"], values)
        await connection.execute(_SQL["start_run_partitions"], values)
    return run


async def find_unfinished(connection: Connection, topic: str, campaign: CampaignId | None) -> ReplayRun | None:
    """The last unfinished run of this topic and campaign."""
    row = await (await connection.execute(_SQL["find_run"], {"topic": topic, "campaign": campaign})).fetchone()
    if row is None:
        return None
    places = await (await connection.execute(_SQL["read_run_positions"], {"id": row[0]})).fetchall()
    ranges = {partition: (following, end) for partition, following, end in sorted(places)}
    id_, name, cluster_id, topic_id, of_campaign, total, done, events, rows = row
    return ReplayRun(id_, name, cluster_id, topic_id, of_campaign, ranges, total, done, events, rows)


async def advance(connection: Connection, run: ReplayRun, batch: Sequence[Record], events: int, rows: int) -> None:
    """Move the position past this batch. Call it in the transaction that applies the batch."""
    nexts: dict[int, int] = {}
    for record in batch:
        nexts[record.partition] = record.offset + 1
    await connection.execute(
        _SQL["advance_run"],
        {
            "id": run.id, "records": len(batch), "events": events, "rows": rows,
            "partitions": plain(nexts), "nexts": plain(nexts.values()),
        },
    )  # fmt: skip


async def finish(connection: Connection, run: ReplayRun) -> None:
    """Mark the run as finished."""
    await connection.execute(_SQL["finish_run"], {"id": run.id})


async def read_replayed(connection: Connection, campaign: CampaignId | None) -> list[tuple[Any, ...]]:
    """What replays have applied to the rows of a campaign, or of all: topic, ids, campaign, time, and the range."""
    return await (await connection.execute(_SQL["read_replayed"], {"campaign": campaign})).fetchall()
