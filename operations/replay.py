"""Replay: a range of a topic merged into the rows once more. It writes to no live topic and moves no offset of a sink.

The plan runs everything on side tables first: it says what would change and who would become due. Only then the same
events are merged into the live rows, batch by batch, each in one transaction with the progress of the run; and each
transaction looks once more whether it made anybody due. Merging again what is known changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from domain.backoff import exponential
from operations.row_changes import Change, ShownRow, change_of, read_rows, read_written, rows_shown
from operations.shadow import ShadowTables
from operations.tally import CHANGES_MAX, Done, Tally
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.codec import Malformed, decode
from schemas.events import RecipientEvent
from schemas.model import CampaignId, RecipientId
from schemas.places import Ranges, Record, count
from schemas.reasons import DeadLetterReason
from schemas.topics import Topic
from sinks.apply import KnownPhoneNumbers, apply_events, find_refused, is_caused_by_events
from tables import replay_runs
from tables.database import Connection, connect, is_transient
from tables.parked import KEPT_S
from tables.recipients import MERGE_SESSION, merge_facts, read_facts
from tables.replay_runs import ReplayRun
from topics import scan

TRIES_MAX = 8
"""Of one batch while Postgres is away or locks collide: about half a minute."""
EVENTS_MAX = 2000
"""Of a transaction. A record of webhooks holds up to some thousands, and is not divided."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Read:
    """What one record says: events, and reasons for what is none."""

    events: list[RecipientEvent] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


def read_event(record: Record) -> Read:
    """The event that a record of `recipient.events` is."""
    read = Read()
    try:
        read.events.append(decode(RecipientEvent, record.value))
    except (Malformed, OverflowError):  # as the sink refuses it
        read.refused[DeadLetterReason.MALFORMED.value] += 1
    except Exception:
        log.exception("passed over what makes our code raise", partition=record.partition, offset=record.offset)
        read.refused[DeadLetterReason.BUG.value] += 1
    return read


Reader = Callable[[Record], Read]
ReaderOf = Callable[[Topic], Reader]
OnProgress = Callable[[str, int, int], None]
"""Told: the phase, records passed, records altogether."""


@dataclass(slots=True)
class ReplayPlan:
    """What a replay would do."""

    records: int = 0
    events: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    changed: int = 0
    made_due: int = 0
    changes: list[Change] = field(default_factory=list)


class MakesDue(Exception):
    """Rows would become due for sending, and that was not allowed. What came before is applied; this batch is not."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__(f"{len(changes)} row(s) would become due")
        self.changes = changes


async def plan(
    settings: Settings, side: ShadowTables, topic: str, ranges: Ranges, reader: Reader, campaign: CampaignId | None,
    stop: asyncio.Event, progress: OnProgress = lambda *_: None,
) -> ReplayPlan | None:  # fmt: skip
    """Run the range on the side tables; what it would change in the live ones. None: stopped before the end."""
    result = ReplayPlan()
    total = count(ranges)
    async for batch in scan.scan(settings, topic, ranges):
        for records, read in portions(batch, reader, result.refused):
            events = await side.of_campaign(read, campaign)
            foreign = await side.foreign_among(events)
            ours = [event for event in events if not _is_foreign(event, foreign)]
            applied = await side.apply(ours)
            result.refused.update(reason.value for reason in applied.refused.values())
            result.foreign += len(events) - len(ours)
            result.records += len(records)
            result.events += len(ours)
            progress("looking", result.records, total)
            if stop.is_set():
                return None
    async with side.free_planning():
        values = {"campaign": campaign, "rows_max": CHANGES_MAX}
        result.changed, result.made_due = (await side.run("count_changes", values))[0]
        result.changes = rows_shown(await side.run("find_changes", values))
    return result


class Replay:
    """One run over the live rows. `side` has been planned over the same range."""

    def __init__(
        self, settings: Settings, side: ShadowTables, run: ReplayRun, reader: Reader, *, allow_retries: bool
    ) -> None:
        self._settings = settings
        self._side = side
        self._run = run
        self._reader = reader
        self._allow_retries = allow_retries
        self._numbers = KnownPhoneNumbers()
        self.done = Done()
        self._tally = Tally(side, self.done)

    async def apply(self, rate: float | None, stop: asyncio.Event, progress: OnProgress = lambda *_: None) -> bool:
        """Apply what is left of the run; False: stopped before the end. Raises MakesDue."""
        try:
            return await self._apply(rate, stop, progress)
        finally:
            if not self._side.connection.closed:
                await self._tally.sum_up()

    async def _apply(self, rate: float | None, stop: asyncio.Event, progress: OnProgress) -> bool:
        url = self._settings.database_url.get_secret_value()
        run, pace = self._run, _Pace(rate, stop)
        total = run.records_done + count(run.ranges)
        batch_max = scan.RECORDS_MAX if rate is None else max(1, min(scan.RECORDS_MAX, int(rate)))
        async with (
            await connect(url, application_name="campaigns-replay", session=MERGE_SESSION) as connection,
            await connect(url, application_name="campaigns-replay-look", session=MERGE_SESSION) as look,
        ):
            async for batch in scan.scan(self._settings, run.topic, run.ranges, batch_max):
                for records, read in portions(batch, self._reader, Counter()):
                    events = await self._wanted(await self._side.of_campaign(read, run.campaign_id))
                    await self._store(connection, look, records, events)
                    run.records_done += len(records)
                    progress("applying", run.records_done, total)
                    if not await pace.keep(len(records)):
                        return False
            await replay_runs.finish(connection, run)
        return True

    async def _wanted(self, events: Sequence[RecipientEvent]) -> list[RecipientEvent]:
        """Without what is not ours: it was counted when it came, and must not be counted or parked again."""
        foreign = await self._side.foreign_among(events)
        wamids = sorted({event.wamid for event in events if event.recipient_id is None and event.wamid is not None})
        claimed = dict(await self._side.run("find_claimants", {"wamids": wamids})) if wamids else {}
        too_old = datetime.now(UTC) - timedelta(seconds=KEPT_S)
        wanted = []
        for event in events:
            if event.recipient_id is None:
                campaign = claimed.get(event.wamid)
                if _is_foreign(event, foreign) or (campaign is None and event.received_at < too_old):
                    self.done.unclaimed += 1
                    continue
                if self._run.campaign_id is not None and campaign != self._run.campaign_id:
                    continue
            wanted.append(event)
        return wanted

    async def _store(
        self, connection: Connection, look: Connection, records: Sequence[Record], events: Sequence[RecipientEvent]
    ) -> None:
        """These records and the progress of the run in one transaction; without events that cannot be written."""
        tries = 0
        while True:
            try:
                async with connection.transaction():
                    changes = await self._merge(connection, look, events)
                    await replay_runs.advance(connection, self._run, records, len(events), len(changes))
            except Exception as error:
                if is_caused_by_events(error) and (refused := await find_refused(connection, events, self._numbers)):
                    events = [event for at, event in enumerate(events) if at not in refused]
                    continue
                tries += 1
                if not is_transient(error) or tries >= TRIES_MAX or connection.closed:
                    raise
                log.warning("trying again", error=str(error).strip(), tries=tries)
                await asyncio.sleep(exponential(tries, base_s=0.1, cap_s=10.0))
            else:
                await self._tally.add(changes)
                return

    async def _merge(self, connection: Connection, look: Connection, events: Sequence[RecipientEvent]) -> list[Change]:
        """Merge, and compare with what others still see: the rows as they were, which nobody can change meanwhile."""
        await apply_events(connection, events, self._numbers)
        after = await read_written(connection, events)
        if not after:
            return []
        before = await read_rows(look, after)
        due = _made_due(before, after)
        if due:
            after.update(await self._end_of(connection, due))
            due = _made_due(before, after)
        if due and not self._allow_retries:
            raise MakesDue(due)
        return [change for id_ in after if (change := change_of(before[id_], after[id_])) is not None]

    async def _end_of(self, connection: Connection, due: Sequence[Change]) -> dict[UUID, ShownRow]:
        """Rows that became due, with what the rest of the range says of them: nobody may send to them in between."""
        ids = [RecipientId(change.recipient_id) for change in due]
        await merge_facts(connection, await read_facts(self._side.connection, ids))
        return await read_rows(connection, ids)


def _made_due(before: Mapping[UUID, ShownRow], after: Mapping[UUID, ShownRow]) -> list[Change]:
    changes = (change_of(before[id_], row) for id_, row in after.items())
    return [change for change in changes if change is not None and change.makes_due]


def portions(
    batch: Sequence[Record], reader: Reader, refused: Counter[str]
) -> Iterator[tuple[list[Record], list[RecipientEvent]]]:
    """Whole records and their events, few enough for a transaction; what is no event is counted by its reason."""
    records: list[Record] = []
    events: list[RecipientEvent] = []
    for record in batch:
        read = reader(record)
        refused.update(read.refused)
        records.append(record)
        events += read.events
        if len(events) >= EVENTS_MAX:
            yield records, events
            records, events = [], []
    if records:
        yield records, events


def _is_foreign(event: RecipientEvent, foreign: set[str]) -> bool:
    return event.recipient_id is None and event.phone_number_id in foreign


class _Pace:
    """Holds the records per second down to a rate, and notices a stop."""

    def __init__(self, rate: float | None, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._started = time.monotonic()
        self._passed = 0

    async def keep(self, records: int) -> bool:
        """Wait as long as the rate asks; False once stopped."""
        self._passed += records
        if self._rate is not None:
            ahead_s = self._passed / self._rate - (time.monotonic() - self._started)
            if ahead_s > 0:
                await pause(self._stop, ahead_s)
        return not self._stop.is_set()
