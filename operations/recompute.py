"""Recomputes rows from the kept topic, exactly up to the positions of the sinks, and compares them with the live rows.

Memory is bounded, because facts are gathered in shadow tables. Two kinds of difference are expected and reported
separately: a row may be ahead of the topic (by a released attempt, or by an answer that no applied event contains),
and the topic may have deleted old events of a row.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from domain.facts import Facts, facts_of, merge
from operations.audit import applied_until
from operations.coverage import AppliedSpan, Interval, read_spans, rounds, uncovered
from operations.readers import Reader, portions, reader_of
from operations.replay_plan import OnProgress
from operations.row_changes import ShownRow
from operations.shadow import RowsStart, ShadowTables, shadow_tables
from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import CampaignId
from schemas.places import OffsetMismatch, Ranges, TopicIdentity, count
from schemas.topics import Topic
from tables import held_events, row_differences
from tables.offsets import read_stored
from tables.recipients import facts_of_row
from tables.shadow import add_missing_rows
from tables.shadow_template import SHOWN
from topics import scan
from topics.identity import identify
from topics.lag import KafkaQueries

LOWEST_ID, HIGHEST_ID = UUID(int=0), UUID(int=2**128 - 1)
CHUNK = 1000
SKEW = timedelta(seconds=10)
"""Largest expected difference between the clocks of Kafka and Postgres."""


class DifferenceKind(Enum):
    """Why a row and the topic differ."""

    DIFFERS = "differs"
    WAITING = "waiting"
    """The ledger has an answer for the row, but its event is not applied yet."""
    OUTSIDE = "outside_retention"
    """The row has facts from a time whose records are deleted."""


@dataclass(frozen=True, slots=True)
class RowPair:
    """A live row, and the same row recomputed from the topic."""

    live: ShownRow
    topic: ShownRow
    kind: DifferenceKind
    is_whole: bool
    """Whether all events that the row may have had are kept. Otherwise the row must not be replaced."""


@dataclass(frozen=True, slots=True)
class TopicSource:
    """A topic, and the offsets that it keeps now."""

    identity: TopicIdentity
    reader: Reader
    kept: Ranges


class Recomputation:
    """Shadow tables, filled from the topic and from the ranges that replays have applied."""

    def __init__(
        self,
        settings: Settings,
        shadow: ShadowTables,
        events: TopicSource,
        campaign: CampaignId | None,
        progress: OnProgress,
    ) -> None:  # fmt: skip
        self.shadow = shadow
        self.identity = events.identity
        self.campaign = campaign
        self.refused: Counter[str] = Counter()
        self.records = 0
        self.lows = {partition: low for partition, (low, _) in events.kept.items()}
        self.passed = dict(self.lows)
        self._settings = settings
        self._progress = progress
        self._sources = {events.identity.topic: events}
        self._replayed: defaultdict[tuple[str, CampaignId | None, int], list[Interval]] = defaultdict(list)
        self._noted: set[tuple[str, int, int]] = set()
        self._horizon: datetime | None = None
        """Events before this time may be deleted; None if no record is deleted."""
        self._until = datetime.now(UTC)

    async def begin(self) -> None:
        """Read all kept events up to the current positions of the sinks."""
        self._until = await applied_until(self.shadow.connection, self._settings) - SKEW
        events = self._sources[self.identity.topic]
        await self._note_deleted(events, [p for p, (low, _) in events.kept.items() if low > 0])
        await self.catch_up()
        # Retention may have deleted records during the read, before they were read.
        now = replace(events, kept=await scan.find_ranges(self._settings, self.identity.topic))
        await self._note_deleted(now, [p for p, (low, _) in now.kept.items() if low > self.lows.get(p, low)])

    async def catch_up(self) -> None:
        """Read on to the positions of sinks and replays in this transaction, so that both have the same events."""
        applied = await self._applied()
        ranges = {p: (passed, max(passed, applied.get(p, passed))) for p, passed in self.passed.items()}
        await self._read(self._sources[self.identity.topic], ranges, self.campaign, self.refused)
        self.passed = {p: end for p, (_, end) in ranges.items()}
        todo: defaultdict[tuple[str, CampaignId | None], list[tuple[int, Interval]]] = defaultdict(list)
        for span in await read_spans(self.shadow, self.campaign):
            parts = await self._not_read(span)
            todo[span.topic, span.campaign] += [(span.partition, part) for part in parts]
        for (topic, campaign), intervals in todo.items():
            for ranges in rounds(intervals):
                await self._read(self._sources[topic], ranges, campaign or self.campaign, Counter())

    async def _not_read(self, span: AppliedSpan) -> list[Interval]:
        """The ranges of a replay that are kept and not read yet. Deleted ranges raise the horizon."""
        source = await self._source(span.topic)
        if (span.cluster_id, span.topic_id) != (source.identity.cluster_id, source.identity.topic_id):
            self._raise_horizon(span.at)
            return []
        low, _ = source.kept.get(span.partition, (0, 0))
        if span.first < low:
            await self._note_deleted(source, [span.partition])
        covered = self._replayed[span.topic, span.campaign, span.partition]
        passed = [(0, self.passed.get(span.partition, 0))] if span.topic == self.identity.topic else []
        parts = uncovered((max(span.first, low), max(span.following, low)), [*covered, *passed])
        covered += parts
        return parts

    async def _read(
        self, source: TopicSource, ranges: Ranges, campaign: CampaignId | None, refused: Counter[str]
    ) -> None:
        total = self.records + count(ranges)
        async for batch in scan.scan(self._settings, source.identity.topic, ranges):
            for records, read in portions(batch, source.reader, refused):
                events = await self.shadow.of_campaign(read, campaign)
                done = await self.shadow.apply(events)
                refused.update(reason.value for reason in done.refused.values())
                await self.shadow.adopt(events)
                self.records += len(records)
                self._progress("recomputing", self.records, total)

    async def add_missing(self) -> None:
        """Add rows that have facts but no event in the topic."""
        await add_missing_rows(self.shadow.schema, self.campaign)

    async def count(self) -> tuple[int, int]:
        """How many live rows there are, and in how many of them only the attempt is ahead."""
        return await row_differences.count_rows(self.shadow.schema, self.campaign)

    async def differences(
        self, after: UUID = LOWEST_ID, *, is_any_ahead: bool = False, last: UUID = HIGHEST_ID, rows_max: int = CHUNK,
        ids: Iterable[UUID] | None = None,
    ) -> list[RowPair]:  # fmt: skip
        """The next rows, by id, that differ. `is_any_ahead`: an attempt may be ahead without a release."""
        rows = await row_differences.find_differences(
            self.shadow.schema, self.campaign, self._until,
            after=after, last=last, rows_max=rows_max, ids=ids, is_any_ahead=is_any_ahead,
        )  # fmt: skip
        held = await held_events.recipients_among(self.shadow.connection, [row[0] for row in rows])
        return [self._pair(row, is_held=row[0] in held) for row in rows]

    def _pair(self, found: Sequence[Any], *, is_held: bool) -> RowPair:
        id_, campaign, campaign_status, created_at, claimed_at, *values = found
        live, topic = (
            ShownRow(id_, campaign, campaign_status, dict(zip(SHOWN, part, strict=True)))
            for part in (values[: len(SHOWN)], values[len(SHOWN) : -1])
        )
        answers = [decode(RecipientEvent, event.encode()) for event in values[-1]]
        facts, stated = facts_of_row(live.shown), facts_of_row(topic.shown)
        began = min(_began(each, created_at, claimed_at) for each in (facts, stated))
        is_whole = self._horizon is None or began >= self._horizon
        return RowPair(live, topic, _kind(facts, stated, answers, is_whole=is_whole, is_held=is_held), is_whole)

    async def _applied(self) -> dict[int, int]:
        found = {}
        for partition, stored in (await read_stored(self.shadow.connection, self.identity.topic)).items():
            if (stored.cluster_id, stored.topic_id) != (self.identity.cluster_id, self.identity.topic_id):
                raise OffsetMismatch(
                    f"{self.identity.topic} was recreated: its records are not the ones that were applied to the rows"
                )
            found[partition] = stored.next_offset
            if stored.accepted_at is not None:  # earlier events of the rows were in another topic
                self._raise_horizon(stored.accepted_at)
        return found

    async def _source(self, topic: str) -> TopicSource:
        if topic not in self._sources:
            name = next((each for each in Topic if self._settings.topic(each) == topic), None)
            if name is None:
                raise Transient(f"rows were replayed from {topic}, which these settings do not have")
            self._sources[topic] = await find_source(self._settings, name)
        return self._sources[topic]

    async def _note_deleted(self, source: TopicSource, partitions: Sequence[int]) -> None:
        """Records before the low watermark were deleted; remember when the oldest kept record was written."""
        for partition in partitions:
            low, high = source.kept[partition]
            place = (source.identity.topic, partition, low)
            if place not in self._noted:
                self._noted.add(place)
                at = await asyncio.to_thread(self._written_at, *place) if low < high else datetime.now(UTC)
                self._raise_horizon(at)

    def _written_at(self, topic: str, partition: int, offset: int) -> datetime:
        with KafkaQueries(self._settings) as broker:
            return broker.times_at({(topic, partition): offset})[topic, partition]

    def _raise_horizon(self, at: datetime) -> None:
        self._horizon = at if self._horizon is None else max(self._horizon, at)


def _kind(
    live: Facts, topic: Facts, answers: Iterable[RecipientEvent], *, is_whole: bool, is_held: bool = False
) -> DifferenceKind:
    """`is_held`: events of the row wait in `held_events`, so the row may lack facts of the topic."""
    expected = topic
    for answer in answers:
        assert answer.attempt is not None, "every answer in the ledger has an attempt"
        expected = merge(expected, facts_of(answer, answer.attempt))
    if expected == live or (is_held and merge(live, expected) == expected):
        return DifferenceKind.WAITING
    knows_less = merge(live, topic) == live
    return DifferenceKind.OUTSIDE if knows_less and not is_whole else DifferenceKind.DIFFERS


def _began(facts: Facts, created_at: datetime, claimed_at: datetime | None) -> datetime:
    """When the first event of a row may have been written, judged by its first claim and its times.

    A row has the times of its newest attempts only. Without any, it is the creation of its campaign.
    """
    stated = [facts.sent_at, facts.replied_at, None if claimed_at is None else claimed_at - SKEW]
    stated += [part.at for part in (facts.acceptance, facts.failure) if part is not None]
    return min((at for at in stated if at is not None), default=created_at)


def recomputing(settings: Settings, purpose: str) -> AbstractAsyncContextManager[ShadowTables]:
    """Shadow tables in which rows start without facts."""
    return shadow_tables(settings, RowsStart.NOTHING, purpose)


async def find_source(settings: Settings, topic: Topic) -> TopicSource:
    """Read the identity and the kept offsets of a topic. Raises Transient."""
    identity = await identify(settings, topic)
    return TopicSource(identity, reader_of(settings, topic), await scan.find_ranges(settings, identity.topic))


async def recompute(
    settings: Settings, shadow: ShadowTables, campaign: CampaignId | None, progress: OnProgress
) -> Recomputation:
    """Fill shadow tables from the topic. Raises OffsetMismatch, KafkaAway, Transient."""
    events = await find_source(settings, Topic.RECIPIENT_EVENTS)
    found = Recomputation(settings, shadow, events, campaign, progress)
    await found.begin()
    return found
