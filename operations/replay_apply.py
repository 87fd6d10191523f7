"""The second half of a replay: the planned range is merged into the live rows, with the opt-outs among its webhooks.

Each batch is one transaction with the progress of the run, and each transaction checks once more whether it made a
recipient due. Merging known events again changes nothing. No live topic is written and no offset of a sink moves.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from domain.backoff import exponential
from operations.readers import Reader, ReadRecord, portions
from operations.replay_plan import OnProgress, is_foreign
from operations.row_changes import Change, ShownRow, change_of, read_rows, read_written
from operations.shadow import ShadowTables
from operations.tally import ReplayTotals, Tally
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import Record, count
from schemas.subscriptions import SubscriptionEvent
from sinks.apply import KnownPhoneNumbers, apply_events, find_refused, is_caused_by_events
from sinks.subscriptions import store_subscriptions
from tables import replay_runs
from tables.database import Connection, connect, is_transient
from tables.parked import KEPT_S
from tables.recipients import MERGE_SESSION, merge_facts, read_facts
from tables.replay_runs import ReplayRun
from tables.shadow import find_claimants
from topics import scan

TRIES_MAX = 8
"""Tries of one batch while Postgres is away or locks collide: about half a minute."""

log = structlog.get_logger(__name__)


class MakesDue(Exception):
    """Rows would become due for sending, and that was not allowed. Earlier batches are applied; this one is not."""

    def __init__(self, changes: Sequence[Change]) -> None:
        super().__init__(f"{len(changes)} row(s) would become due")
        self.changes = changes


class Replay:
    """One run over the live rows. `shadow` has been planned over the same range."""

    def __init__(
        self, settings: Settings, shadow: ShadowTables, run: ReplayRun, reader: Reader, *, allow_retries: bool
    ) -> None:
        self._settings = settings
        self._shadow = shadow
        self._run = run
        self._read = reader
        self._subscriptions: list[SubscriptionEvent] = []
        """The opt-outs and opt-ins of the portion that is read now. They belong to no campaign."""
        self._allow_retries = allow_retries
        self._numbers = KnownPhoneNumbers()
        self.done = ReplayTotals()
        self._tally = Tally(shadow, self.done)

    async def apply(self, rate: float | None, stop: asyncio.Event, progress: OnProgress = lambda *_: None) -> bool:
        """Apply the rest of the run. Returns False if it was stopped before the end. Raises MakesDue."""
        try:
            return await self._apply(rate, stop, progress)
        finally:
            if not self._shadow.connection.closed:
                await self._tally.sum_up()

    async def _apply(self, rate: float | None, stop: asyncio.Event, progress: OnProgress) -> bool:
        url = self._settings.database_url.get_secret_value()
        run, pace = self._run, _Pace(rate, stop)
        total = run.records_done + count(run.ranges)
        batch_max = scan.RECORDS_MAX if rate is None else max(1, min(scan.RECORDS_MAX, int(rate)))
        async with (
            await connect(url, application_name="campaigns-replay", session=MERGE_SESSION) as connection,
            await connect(url, application_name="campaigns-replay-before", session=MERGE_SESSION) as outside,
        ):
            async for batch in scan.scan(self._settings, run.topic, run.ranges, batch_max):
                for records, read in portions(batch, self._reader, Counter()):
                    events = await self._own_events(await self._shadow.of_campaign(read, run.campaign_id))
                    await self._store(connection, outside, records, events)
                    run.records_done += len(records)
                    progress("applying", run.records_done, total)
                    if not await pace.keep(len(records)):
                        return False
            await replay_runs.finish(connection, run)
        return True

    def _reader(self, record: Record) -> ReadRecord:
        read = self._read(record)
        self._subscriptions += read.subscriptions if self._run.campaign_id is None else ()
        return read

    async def _own_events(self, events: Sequence[RecipientEvent]) -> list[RecipientEvent]:
        """Without statuses of other systems: they were counted when they arrived, and must not be counted again."""
        foreign = await self._shadow.foreign_among(events)
        wamids = sorted({event.wamid for event in events if event.recipient_id is None and event.wamid is not None})
        claimed = await find_claimants(self._shadow.schema, wamids) if wamids else {}
        too_old = datetime.now(UTC) - timedelta(seconds=KEPT_S)
        own = []
        for event in events:
            if event.recipient_id is None:
                campaign = claimed.get(event.wamid)
                if is_foreign(event, foreign) or (campaign is None and event.received_at < too_old):
                    self.done.unclaimed += 1
                    continue
                if self._run.campaign_id is not None and campaign != self._run.campaign_id:
                    continue
            own.append(event)
        return own

    async def _store(
        self, connection: Connection, outside: Connection, records: Sequence[Record], events: Sequence[RecipientEvent]
    ) -> None:
        """Store records and the progress of the run in one transaction, without the events that cannot be written."""
        tries = 0
        while True:
            try:
                async with connection.transaction():
                    changes = await self._merge(connection, outside, events)
                    await store_subscriptions(connection, self._subscriptions)
                    await replay_runs.advance(connection, self._run, records, len(events), len(changes))
            except Exception as error:
                if is_caused_by_events(error) and (refused := await find_refused(connection, events, self._numbers)):
                    events = [event for at, event in enumerate(events) if at not in refused]
                    continue
                tries += 1
                if not is_transient(error) or tries >= TRIES_MAX or connection.closed:
                    raise
                log.warning("batch failed; retrying", error=str(error).strip(), tries=tries)
                await asyncio.sleep(exponential(tries, base_s=0.1, cap_s=10.0))
            else:
                self._subscriptions.clear()
                await self._tally.add(changes)
                return

    async def _merge(
        self, connection: Connection, outside: Connection, events: Sequence[RecipientEvent]
    ) -> list[Change]:
        """Merge, and compare with the committed rows, which no other transaction can change while ours holds them.

        `outside` is a second connection: it sees the rows as they were before this transaction.
        """
        await apply_events(connection, events, self._numbers)
        after = await read_written(connection, events)
        if not after:
            return []
        before = await read_rows(outside, after)
        due = _made_due(before, after)
        if due:
            after.update(await self._end_of(connection, due))
            due = _made_due(before, after)
        if due and not self._allow_retries:
            raise MakesDue(due)
        return [change for id_ in after if (change := change_of(before[id_], after[id_])) is not None]

    async def _end_of(self, connection: Connection, due: Sequence[Change]) -> dict[UUID, ShownRow]:
        """Rows that became due, merged with the rest of the range: otherwise a sender could send to them in between."""
        ids = [RecipientId(change.recipient_id) for change in due]
        await merge_facts(connection, await read_facts(self._shadow.connection, ids))
        return await read_rows(connection, ids)


def _made_due(before: Mapping[UUID, ShownRow], after: Mapping[UUID, ShownRow]) -> list[Change]:
    changes = (change_of(before[id_], row) for id_, row in after.items())
    return [change for change in changes if change is not None and change.makes_due]


class _Pace:
    """Limits the records per second."""

    def __init__(self, rate: float | None, stop: asyncio.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._started = time.monotonic()
        self._passed = 0

    async def keep(self, records: int) -> bool:
        """Wait as long as the rate requires. Returns False once stopped."""
        self._passed += records
        if self._rate is not None:
            ahead_s = self._passed / self._rate - (time.monotonic() - self._started)
            if ahead_s > 0:
                await pause(self._stop, ahead_s)
        return not self._stop.is_set()
