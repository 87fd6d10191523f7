"""Collects everything about one recipient for `campaigns trace`: what Postgres holds, and the history of its events.

Events are read from `recipient.events`, from the creation of the campaign to the newest record at the start. The key of
a record is the recipient id, or the message id if the recipient was unknown, so only matching keys are decoded.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.history import RecipientHistory, TracedEvent, trace_history
from domain.people import person_of
from domain.phone_numbers import person_named
from domain.written_numbers import InvalidPhoneNumber
from runtime.process import Transient
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import Record, count
from schemas.topics import BY_NAME, Topic
from tables import trace as table
from tables.database import Connection, connect
from tables.trace import Row
from topics.lag import KafkaQueries
from topics.scan import Bound, find_ranges, scan

BEFORE = timedelta(minutes=10)
"""No record about a recipient is older than its campaign. Ten minutes allow for differing clocks."""
PROGRESS_EVERY = 200_000
"""Records between two progress messages."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything that Postgres holds about one recipient."""

    row: Row
    releases: list[Row]
    ledger: list[Row]
    messages: list[Row] = field(repr=False)
    subscriptions: list[Row]

    @property
    def recipient_id(self) -> RecipientId:
        """The id in the row."""
        return RecipientId(self.row["id"])


@dataclass(frozen=True, slots=True)
class Trace:
    """The dossiers of the recipients found, and their history. `not_read`: why the topic was not read."""

    dossiers: list[Dossier]
    history: RecipientHistory
    records_read: int = 0
    not_read: str = ""


async def find(connection: Connection, query: str, country: str | None = None) -> list[RecipientId]:
    """Find recipients by recipient id, message id, phone number in any spelling, or user id.

    `country` is the country of a number without + and 00.
    """
    if query.startswith("wamid."):
        found = await table.find_by_wamid(connection, query)
    elif (recipient := _as_uuid(query)) is not None:
        found = await table.find_by_id(connection, recipient)
    else:
        found = await table.find_by_person(connection, _as_person(query, country))
    return [RecipientId(each) for each in found]


async def read_dossier(connection: Connection, recipient: RecipientId) -> Dossier | None:
    """Read everything that Postgres holds about a recipient; None if its row does not exist."""
    row = await table.read_recipient(connection, recipient)
    if row is None:
        return None
    return Dossier(
        row,
        await table.read_releases(connection, recipient),
        await table.read_ledger(connection, recipient),
        await table.read_messages(connection, recipient),
        await table.read_subscriptions(connection, row["person"]),
    )


async def collect(
    settings: Settings,
    query: str,
    reason_of: Callable[[BaseException], str],
    progress: Callable[[str], None] = lambda _: None,
    country: str | None = None,
) -> Trace:
    """Collect everything; while Kafka does not answer, only what Postgres holds. `reason_of` renders an error."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-trace") as connection:
        dossiers = [await read_dossier(connection, each) for each in await find(connection, query, country)]
    known = [each for each in dossiers if each is not None]
    if not known and not keys_of(query):
        return Trace([], RecipientHistory())
    try:
        history, read = await read_history(settings, known, query, progress)
    except Transient as error:
        return Trace(known, RecipientHistory(), not_read=reason_of(error))
    return Trace(known, history, read)


def keys_of(query: str) -> set[str]:
    """The record keys that the query itself names; a phone number is no key."""
    if query.startswith("wamid."):
        return {query}
    recipient = _as_uuid(query)
    return set() if recipient is None else {str(recipient)}


async def read_history(
    settings: Settings, dossiers: Sequence[Dossier], query: str, progress: Callable[[str], None] = lambda _: None
) -> tuple[RecipientHistory, int]:
    """Read the topic and trace the history; also returns the number of records read. Raises Transient without Kafka."""
    wamids = {message["wamid"] for each in dossiers for message in each.messages}
    wamids |= {entry["wamid"] for each in dossiers for entry in each.ledger if entry["wamid"] is not None}
    keys = {str(each.recipient_id) for each in dossiers} | wamids | keys_of(query)
    since = min((each.row["created_at"] for each in dossiers), default=None)
    events, read = await _read(settings, keys, None if since is None else Bound(at=since - BEFORE), progress)
    created_at = {each.recipient_id: each.row["created_at"] for each in dossiers}
    return trace_history(events, created_at), read


async def _read(
    settings: Settings, keys: Collection[str], since: Bound | None, progress: Callable[[str], None]
) -> tuple[list[TracedEvent], int]:
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    key_set = {key.encode() for key in keys}
    places = await asyncio.to_thread(_partitions, settings, topic, key_set)
    ranges = {p: r for p, r in (await find_ranges(settings, topic, since)).items() if p in places}
    found: list[TracedEvent] = []
    read, next_report = 0, PROGRESS_EVERY
    async for records in scan(settings, topic, ranges):
        read += len(records)
        found += [_traced(record) for record in records if record.key in key_set]
        if read >= next_report:
            next_report += PROGRESS_EVERY
            progress(f"{read} of {count(ranges)} records read, {len(found)} found")
    return found, read


def _partitions(settings: Settings, topic: str, keys: Collection[bytes]) -> set[int]:
    """The partitions of these keys by librdkafka's partitioner; all partitions if some were added later."""
    with KafkaQueries(settings) as broker:
        known = broker.watermarks(topic)
    if len(known) != BY_NAME[Topic.RECIPIENT_EVENTS].partitions:
        return set(known)
    return {zlib.crc32(key) % len(known) for key in keys}


def _traced(record: Record) -> TracedEvent:
    try:
        event = decode(RecipientEvent, record.value)
    except Exception:  # noqa: BLE001 - the sink dead-lettered this record, whatever the error was
        event = None
    keyed = _as_uuid((record.key or b"").decode(errors="replace"))
    return TracedEvent(record.place, record.at, event, None if keyed is None else RecipientId(keyed))


def _as_person(text: str, country: str | None) -> str:
    """The key of the person; the digits if the text names nobody."""
    try:
        return person_named(text, country).person
    except InvalidPhoneNumber:
        return person_of("".join(filter(str.isdigit, text)))


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
