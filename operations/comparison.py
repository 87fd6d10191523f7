"""Compares the rows with the events that the topic keeps: rows are recomputed in shadow tables, column by column.

It only reads, in one snapshot of the rows and of the offsets of the sinks, so that both contain exactly the same events
while everything runs. It reports each difference with the events that explain it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import psycopg

from operations.readers import read_event
from operations.recompute import DifferenceKind, Recomputation, RowPair, recompute, recomputing
from operations.replay_plan import OnProgress
from operations.row_changes import Change, change_of
from runtime.settings import Settings
from schemas.events import RecipientEvent
from schemas.model import CampaignId
from schemas.places import count
from tables.shadow import find_wamids
from topics import scan

SAMPLES = 20
EVENTS_MAX = 50
"""Most events that are listed for one recipient."""


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """One event of the topic, and its place."""

    kind: str
    attempt: int | None
    occurred_at: datetime
    place: str
    """topic/partition@offset"""


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that differs from its events. `change`: before is the row, after is the recomputed one."""

    change: Change
    events: tuple[TopicFacts, ...] = ()


@dataclass(slots=True)
class Comparison:
    """The result of a comparison, as numbers of rows."""

    rows: int = 0
    differs: int = 0
    waiting: int = 0
    """The row has an answer, but its event is not applied yet."""
    outside_retention: int = 0
    attempt_ahead: int = 0
    """Equal, except for a higher attempt: releasing writes no event, so this is allowed."""
    records: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    differences: tuple[RowDifference, ...] = ()
    """The first rows that differ."""

    @property
    def equal(self) -> int:
        """Rows that agree with their events."""
        return self.rows - self.differs - self.waiting - self.outside_retention


async def compare_with_topic(
    settings: Settings, campaign_id: CampaignId | None, progress: OnProgress = lambda *_: None
) -> Comparison:
    """Compare all rows, or those of one campaign. Raises OffsetMismatch for a recreated topic, Transient, KafkaAway."""
    async with recomputing(settings, "verify") as shadow:
        found = await recompute(settings, shadow, campaign_id, progress)
        await shadow.connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        async with shadow.free_planning():
            await found.catch_up()
            await found.add_missing()
            result, sample = await _judge(found)
        different = [(pair, change) for pair in sample if (change := change_of(pair.live, pair.topic)) is not None]
        events = await _explain(settings, found, [pair.live.id for pair, _ in different], progress)
        result.differences = tuple(
            RowDifference(change, tuple(events.get(pair.live.id, ()))) for pair, change in different
        )
        return result


async def _judge(found: Recomputation) -> tuple[Comparison, list[RowPair]]:
    rows, ahead = await found.count()
    result = Comparison(rows=rows, attempt_ahead=ahead, records=found.records, refused=found.refused)
    sample: list[RowPair] = []
    pairs = await found.differences()
    while pairs:
        kinds = Counter(pair.kind for pair in pairs)
        result.differs += kinds[DifferenceKind.DIFFERS]
        result.waiting += kinds[DifferenceKind.WAITING]
        result.outside_retention += kinds[DifferenceKind.OUTSIDE]
        sample += [pair for pair in pairs if pair.kind is DifferenceKind.DIFFERS][: SAMPLES - len(sample)]
        pairs = await found.differences(pairs[-1].live.id)
    return result, sample


async def _explain(
    settings: Settings, found: Recomputation, ids: Sequence[UUID], progress: OnProgress
) -> dict[UUID, list[TopicFacts]]:
    """The events of these recipients. The topic is read again, because all events would not fit in memory."""
    if not ids:
        return {}
    found_events: dict[UUID, list[TopicFacts]] = {id_: [] for id_ in ids}
    recipient_by_wamid = await find_wamids(found.shadow.schema, ids)
    ranges = {p: (low, found.passed[p]) for p, low in found.lows.items()}
    records = 0
    async for batch in scan.scan(settings, found.identity.topic, ranges):
        records += len(batch)
        progress("explaining", records, count(ranges))
        for record in batch:
            place = str(record.place)
            for event in read_event(record).events:
                listed = found_events.get(_recipient(event, recipient_by_wamid))
                if listed is not None and len(listed) < EVENTS_MAX:
                    listed.append(TopicFacts(event.kind.value, event.attempt, event.occurred_at, place))
    return {id_: sorted(events, key=lambda each: each.occurred_at) for id_, events in found_events.items()}


def _recipient(event: RecipientEvent, recipient_by_wamid: dict[str, UUID]) -> UUID:
    if event.recipient_id is not None:
        return event.recipient_id
    return recipient_by_wamid.get(event.wamid or "", UUID(int=0))
