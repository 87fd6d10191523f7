"""Everything about one recipient: its row, releases, ledger, messages and subscription, and the story of its events.

Events are read from `recipient.events` as it is kept, from the creation of the campaign to the end at the start. A
record's key is the recipient's id, or the message id where the recipient was not known, so keys alone are looked at.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from domain.history import RecipientHistory, TracedEvent, trace_history
from domain.phone_numbers import InvalidPhoneNumber, normalise
from runtime.settings import Settings
from schemas.codec import decode
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import Record, count
from schemas.topics import BY_NAME, Topic
from tables import trace as trace_rows
from tables.database import Connection
from tables.trace import Row
from topics.lag import KafkaQueries
from topics.scan import Bound, find_ranges, scan

BEFORE = timedelta(minutes=10)
"""No record about a recipient is written before its campaign exists; ten minutes are for clocks."""
PROGRESS_EVERY = 200_000


@dataclass(frozen=True, slots=True)
class Dossier:
    """What the database knows about one recipient."""

    row: Row
    releases: list[Row]
    ledger: list[Row]
    messages: list[Row] = field(repr=False)
    subscriptions: list[Row]

    @property
    def recipient_id(self) -> RecipientId:
        """Whose it is."""
        return RecipientId(self.row["id"])


@dataclass(frozen=True, slots=True)
class Trace:
    """The dossiers of whoever was meant, and their story. `not_read`: why the topic was not read."""

    dossiers: list[Dossier]
    story: RecipientHistory
    records_read: int = 0
    not_read: str = ""


async def find(connection: Connection, who: str) -> list[RecipientId]:
    """Who is meant by a recipient id, a message id, or a phone number (in each of its campaigns)."""
    if who.startswith("wamid."):
        found = await trace_rows.find_by_wamid(connection, who)
    elif (recipient := _as_uuid(who)) is not None:
        found = await trace_rows.find_by_id(connection, recipient)
    else:
        found = await trace_rows.find_by_phone(connection, _as_number(who))
    return [RecipientId(each) for each in found]


async def read_dossier(connection: Connection, recipient: RecipientId) -> Dossier | None:
    """Everything in the database, in one snapshot as far as the rows of one statement go; None without a row."""
    row = await trace_rows.read_recipient(connection, recipient)
    if row is None:
        return None
    return Dossier(
        row,
        releases=await trace_rows.read_releases(connection, recipient),
        ledger=await trace_rows.read_ledger(connection, recipient),
        messages=await trace_rows.read_messages(connection, recipient),
        subscriptions=await trace_rows.read_subscriptions(connection, row["phone_number"]),
    )


def keys_of(who: str) -> set[str]:
    """The keys of records about `who` that can be told without a row; a phone number is no key."""
    if who.startswith("wamid."):
        return {who}
    recipient = _as_uuid(who)
    return set() if recipient is None else {str(recipient)}


async def read_story(
    settings: Settings, dossiers: Sequence[Dossier], who: str, progress: Callable[[str], None] = lambda _: None
) -> tuple[RecipientHistory, int]:
    """Read the topic and tell the story; with the number of records looked at. Raises Transient without Kafka."""
    wamids = {message["wamid"] for each in dossiers for message in each.messages}
    wamids |= {entry["wamid"] for each in dossiers for entry in each.ledger if entry["wamid"] is not None}
    keys = {str(each.recipient_id) for each in dossiers} | wamids | keys_of(who)
    since = min((each.row["created_at"] for each in dossiers), default=None)
    told, read = await _read(settings, keys, None if since is None else Bound(at=since - BEFORE), progress)
    created_at = {each.recipient_id: each.row["created_at"] for each in dossiers}
    return trace_history(told, created_at), read


async def _read(
    settings: Settings, keys: Collection[str], since: Bound | None, progress: Callable[[str], None]
) -> tuple[list[TracedEvent], int]:
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    wanted = {key.encode() for key in keys}
    places = await asyncio.to_thread(_partitions, settings, topic, wanted)
    ranges = {p: r for p, r in (await find_ranges(settings, topic, since)).items() if p in places}
    found: list[TracedEvent] = []
    read, told_at = 0, PROGRESS_EVERY
    async for records in scan(settings, topic, ranges):
        read += len(records)
        found += [_told(record) for record in records if record.key in wanted]
        if read >= told_at:
            told_at += PROGRESS_EVERY
            progress(f"{read} of {count(ranges)} records read, {len(found)} found")
    return found, read


def _partitions(settings: Settings, topic: str, keys: Collection[bytes]) -> set[int]:
    """Where these keys are, by librdkafka's own partitioner; everywhere, where partitions were ever added."""
    with KafkaQueries(settings) as broker:
        known = broker.watermarks(topic)
    if len(known) != BY_NAME[Topic.RECIPIENT_EVENTS].partitions:
        return set(known)
    return {zlib.crc32(key) % len(known) for key in keys}


def _told(record: Record) -> TracedEvent:
    try:
        event = decode(RecipientEvent, record.value)
    except Exception:  # noqa: BLE001 - whatever it is, the sink has set this record aside
        event = None
    keyed = _as_uuid((record.key or b"").decode(errors="replace"))
    return TracedEvent(record.place, record.at, event, None if keyed is None else RecipientId(keyed))


def _as_number(text: str) -> str:
    """As it is stored; of what is no number, the digits."""
    try:
        return normalise(text)
    except InvalidPhoneNumber:
        return "".join(filter(str.isdigit, text))


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
