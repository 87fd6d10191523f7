"""Rows recomputed from the kept topic, up to exactly where the sinks have come, and compared with the live ones.

Bounded in memory: facts gather in side tables. What a row may rightly know before the topic does is told apart: a
released attempt, and answers of the ledger that are on their way. What the topic has deleted is told apart as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from domain.facts import Facts, facts_of, merge
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import CampaignId
from schemas.topics import Topic
from sinks import topic_scan
from sinks.audit import applied_until
from sinks.lag import Broker
from sinks.offsets import Misplaced, TopicIdentity
from sinks.recipients import facts_of_row
from sinks.replay import Progress, events_of, read_event
from sinks.row_changes import Row
from sinks.side import SHOWN, Side, Start, side_tables
from sinks.topic_identity import identify

LOWEST_ID = UUID(int=0)
CHUNK = 1000
SKEW = timedelta(seconds=10)
"""Between the clock that stamps records and the database's."""


class Kind(Enum):
    """Why a row and the topic say different things."""

    DIFFERS = "differs"
    WAITING = "waiting"
    """The row has an answer of the ledger whose event is not applied yet."""
    OUTSIDE = "outside_retention"
    """The row knows more, of a time whose records are deleted."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A live row, and the same as the topic has it."""

    live: Row
    topic: Row
    kind: Kind
    is_whole: bool
    """All events that the row may have had are kept; else the topic may not be put in its place."""


class Recomputation:
    """The side tables, filled from the topic."""

    def __init__(
        self, settings: Settings, side: Side, identity: TopicIdentity, campaign: CampaignId | None, progress: Progress
    ) -> None:
        self.side = side
        self.identity = identity
        self.campaign = campaign
        self.refused: Counter[str] = Counter()
        self.records = 0
        self.lows: dict[int, int] = {}
        self.passed: dict[int, int] = {}
        self._settings = settings
        self._progress = progress
        self._horizon: datetime | None = None
        self._until = datetime.now(UTC)

    async def begin(self) -> None:
        """Read everything that is kept, up to where the sinks are now."""
        self._until = await applied_until(self.side.connection, self._settings) - SKEW
        ranges = await topic_scan.find_ranges(self._settings, self.identity.topic)
        self.lows = self.passed = {partition: low for partition, (low, _) in ranges.items()}
        self._horizon = await asyncio.to_thread(self._find_horizon, ranges)
        await self.catch_up()

    async def catch_up(self) -> None:
        """Read on to where the sinks are in the view of this transaction: then both tell of the same events."""
        applied = await self._applied()
        ranges = {p: (passed, max(passed, applied.get(p, passed))) for p, passed in self.passed.items()}
        total = self.records + topic_scan.count(ranges)
        async for batch in topic_scan.scan(self._settings, self.identity.topic, ranges):
            done = await self.side.apply(events_of(batch, read_event, self.campaign, self.refused))
            self.refused.update(reason.value for reason in done.refused.values())
            self.records += len(batch)
            self._progress("recomputing", self.records, total)
        self.passed = {p: end for p, (_, end) in ranges.items()}
        await self.side.adopt()

    async def add_missing(self) -> None:
        """Bring rows that have facts, of which the topic says nothing."""
        await self.side.run("add_missing_rows", {"campaign": self.campaign})

    async def count(self) -> tuple[int, int]:
        """Live rows, and those of which only the attempt is ahead."""
        rows, ahead = (await self.side.run("count_judged", {"campaign": self.campaign}))[0]
        return rows, ahead

    async def differences(
        self, after: UUID = LOWEST_ID, rows_max: int = CHUNK, ids: Iterable[UUID] | None = None
    ) -> list[Pair]:
        """The next rows, by id, that differ."""
        values = {
            "after": after, "rows_max": rows_max, "ids": None if ids is None else list(ids),
            "campaign": self.campaign, "until": self._until,
        }  # fmt: skip
        return [self._pair(row) for row in await self.side.run("find_differences", values)]

    def _pair(self, found: Sequence[Any]) -> Pair:
        id_, campaign, campaign_status, created_at, *values = found
        live, topic = (
            Row(id_, campaign, campaign_status, dict(zip(SHOWN, part, strict=True)))
            for part in (values[: len(SHOWN)], values[len(SHOWN) : -1])
        )
        answers = [decode(RecipientEvent, event.encode()) for event in values[-1]]
        facts, stated = facts_of_row(live.shown), facts_of_row(topic.shown)
        is_whole = self._horizon is None or min(_began(facts, created_at), _began(stated, created_at)) >= self._horizon
        return Pair(live, topic, _kind(facts, stated, answers, is_whole=is_whole), is_whole)

    async def _applied(self) -> dict[int, int]:
        found = {}
        for partition, offset, cluster_id, topic_id in await self.side.run(
            "read_applied", {"topic": self.identity.topic}
        ):
            if (cluster_id, topic_id) != (self.identity.cluster_id, self.identity.topic_id):
                raise Misplaced(f"{self.identity.topic} was made anew: its records are not those that made the rows")
            found[partition] = offset
        return found

    def _find_horizon(self, ranges: topic_scan.Ranges) -> datetime | None:
        """What happened before this time may be deleted; None: nothing is."""
        deleted = {p: bounds for p, bounds in ranges.items() if bounds[0] > 0}
        if not deleted:
            return None
        with Broker(self._settings) as broker:
            times = broker.times_at({(self.identity.topic, p): low for p, (low, high) in deleted.items() if low < high})
        if len(times) < len(deleted):
            return datetime.now(UTC)
        return max(times.values())


def _kind(live: Facts, topic: Facts, answers: Iterable[RecipientEvent], *, is_whole: bool) -> Kind:
    told = topic
    for answer in answers:
        assert answer.attempt is not None, "the ledger knows the attempt"
        told = merge(told, facts_of(answer, answer.attempt))
    if replace(told, attempt=max(told.attempt, live.attempt)) == live:
        return Kind.WAITING
    knows_less = merge(live, topic) == live
    return Kind.OUTSIDE if knows_less and not is_whole else Kind.DIFFERS


def _began(facts: Facts, created_at: datetime) -> datetime:
    """The earliest time that a row states; else when its campaign was made."""
    stated = [facts.sent_at, facts.replied_at]
    stated += [part.at for part in (facts.acceptance, facts.failure) if part is not None]
    return min((at for at in stated if at is not None), default=created_at)


def recomputing(settings: Settings, purpose: str) -> AbstractAsyncContextManager[Side]:
    """Side tables on which rows begin without any fact."""
    return side_tables(settings, Start.NOTHING, purpose)


async def recompute(settings: Settings, side: Side, campaign: CampaignId | None, progress: Progress) -> Recomputation:
    """Fill side tables from the topic. Raises Misplaced, KafkaAway, Transient."""
    identity = await identify(settings, Topic.RECIPIENT_EVENTS)
    found = Recomputation(settings, side, identity, campaign, progress)
    await found.begin()
    return found
