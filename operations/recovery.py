"""Recovers a database that went back in time: events of the topics are applied again, other attempts become `unknown`.

Until it is done, no process can release or claim (`installation_is_known` guards both). Sinks may run, because applying
an event twice changes nothing. It can be interrupted and run again at any point.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from operations.options import InvalidOptions
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.jobs import SendJob
from schemas.places import Place, Record, require_kept
from schemas.topics import Topic
from sinks.apply import KnownPhoneNumbers, apply_batch
from tables import locks
from tables.database import Connection, connect
from tables.offsets import read_offsets
from tables.recipients import MERGE_SESSION
from tables.recovery import begin_epoch, count_ahead, declare_lost, find_open, read_installation, stop_sending
from topics.identity import identify
from topics.scan import find_ranges, scan

CHUNK_ROWS = 2000
STATEMENT_TIMEOUT_S = 600.0
UNFINISHED = "Recovery did not finish. Sending stays disabled until `campaigns recover` completes."
_LOWEST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Recovered:
    """The result of a recovery."""

    events: int
    rows_changed: int
    unknown: int
    """Released attempts that may have been sent."""
    kept: int
    """Released attempts that were surely not sent, because no commit is missing. They stay queued."""
    epoch: int


class CommitsMissing(InvalidOptions):
    """The database lacks releases whose jobs are on the topic, so it is not complete."""


@dataclass(frozen=True, slots=True)
class NotNeeded:
    """Nothing was done, because the data belongs to this server and timeline."""

    epoch: int


async def run(
    settings: Settings,
    *,
    is_forced: bool,
    is_complete: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Recovered | NotNeeded:
    """Recover if the data belongs to another server or timeline, or if it is forced.

    `is_complete`: no commit is missing, because the standby was synchronous. Raises CommitsMissing if one is, Transient
    without Kafka, OffsetMismatch. An exception during the recovery carries the note UNFINISHED.
    """
    url = settings.database_url.get_secret_value()
    async with (
        await connect(
            url,
            application_name="campaigns-recover",
            statement_timeout_s=STATEMENT_TIMEOUT_S,
            session=MERGE_SESSION,
        ) as connection,
        alone(connection, progress),
    ):
        is_known, epoch = await read_installation(connection)
        if is_known and not is_forced:
            return NotNeeded(epoch)
        progress("Sending is disabled until the recovery completes.")
        try:
            return await recover(connection, settings, progress, is_complete=is_complete)
        except BaseException as error:
            error.add_note(UNFINISHED)
            raise


async def find_unneeded(settings: Settings) -> NotNeeded | None:
    """None if a recovery is needed, because the data belongs to another server or timeline. It changes nothing."""
    async with await connect(
        settings.database_url.get_secret_value(), application_name="campaigns-recover"
    ) as connection:
        is_known, epoch = await read_installation(connection)
    return NotNeeded(epoch) if is_known else None


@asynccontextmanager
async def alone(connection: Connection, progress: Callable[[str], None] = lambda _: None) -> AsyncIterator[None]:
    """Allow one recovery at a time. A second one waits and then checks whether anything is left to do."""
    if not await locks.try_lock(connection, locks.RECOVERY):
        progress("another recovery is running; waiting for its end")
        await locks.lock(connection, locks.RECOVERY)
    try:
        yield
    finally:
        if not connection.closed:
            await locks.unlock(connection, locks.RECOVERY)


async def recover(
    connection: Connection,
    settings: Settings,
    progress: Callable[[str], None] = lambda _: None,
    *,
    is_complete: bool = False,
) -> Recovered:
    """Recover and begin a new epoch. Call it inside `alone`. Raises CommitsMissing, Transient, OffsetMismatch."""
    await stop_sending(connection)
    if is_complete:
        await _require_complete(connection, settings)
    events, rows = await _apply_events(connection, settings, progress)
    unknown = 0 if is_complete else await _declare_released(connection, settings, progress)
    kept = sum([len(page) async for page in _open_pages(connection)]) if is_complete else 0
    return Recovered(events, rows, unknown, kept, await begin_epoch(connection))


async def _require_complete(connection: Connection, settings: Settings) -> None:
    """Check that the database has each release whose job is on the topic: the leader publishes after its commit."""
    topic = settings.topic(Topic.SEND_JOBS)
    async for records in scan(settings, topic, await find_ranges(settings, topic), CHUNK_ROWS):
        if ahead := await count_ahead(connection, _newest(records)):
            raise CommitsMissing(
                f"{ahead} released attempts are on the topic and not in the database, so commits are missing: the "
                "standby was not synchronous. Run `campaigns recover` without --complete"
            )


async def _open_pages(connection: Connection) -> AsyncIterator[list[tuple[UUID, int]]]:
    """The queued recipients without a ledger row, with their attempts, page by page."""
    after = _LOWEST_ID
    while page := await find_open(connection, after, CHUNK_ROWS):
        yield page
        after = page[-1][0]


async def _apply_events(connection: Connection, settings: Settings, progress: Callable[[str], None]) -> tuple[int, int]:
    """Apply the events after the stored offsets, which went back in time together with the rows."""
    identity = await identify(settings, Topic.RECIPIENT_EVENTS)
    available = await find_ranges(settings, identity.topic)
    positions = await read_offsets(connection, identity, available)
    for partition, offset in positions.items():
        require_kept(Place(identity.topic, partition, offset), available[partition])
    numbers = KnownPhoneNumbers()
    events = rows = 0
    ranges = {p: (positions[p], high) for p, (_, high) in available.items()}
    async for records in scan(settings, identity.topic, ranges):
        batch = [event for record in records if (event := _event(record)) is not None]
        # Events that are refused here are also refused by the sink, which dead-letters them.
        rows += (await apply_batch(connection, batch, numbers)).rows_changed
        events += len(batch)
        progress(f"{events} events applied, {rows} rows changed")
    return events, rows


async def _declare_released(connection: Connection, settings: Settings, progress: Callable[[str], None]) -> int:
    """Declare attempts unknown that were released in any history (kept jobs, queued rows) and have no outcome."""
    topic = settings.topic(Topic.SEND_JOBS)
    unknown = 0
    async for records in scan(settings, topic, await find_ranges(settings, topic), CHUNK_ROWS):
        unknown += await declare_lost(connection, _newest(records))
        progress(f"{unknown} released attempts declared unknown")
    async for page in _open_pages(connection):
        unknown += await declare_lost(connection, page)
    return unknown


def _newest(records: Sequence[Record]) -> list[tuple[UUID, int]]:
    """The newest attempt of each recipient among these jobs."""
    newest: dict[UUID, int] = {}
    for record in records:
        job = _job(record)
        if job is not None:
            newest[job.recipient_id] = max(job.attempt, newest.get(job.recipient_id, 0))
    return sorted(newest.items())


def _event(record: Record) -> RecipientEvent | None:
    try:
        return decode(RecipientEvent, record.value)
    except Exception:  # noqa: BLE001 - the sink dead-letters this record, and it must not stop the recovery
        return None


def _job(record: Record) -> SendJob | None:
    try:
        return decode(SendJob, record.value)
    except Exception:  # noqa: BLE001 - no sender could read it, so it was never sent
        return None
