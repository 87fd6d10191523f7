"""Fills `recipient.events` with the events that the rows of a large campaign came from, and notes them as applied."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, LiteralString
from uuid import UUID

import orjson
import psycopg
from confluent_kafka import Producer

from bench.sink.workload import CAMPAIGN, NOT_DELIVERABLE, NUMBER_ID
from runtime.settings import Settings
from schemas.codec import PRODUCER, encode
from schemas.events import EventKind, Origin, Pricing, RecipientEvent
from schemas.model import RecipientId, Wamid
from schemas.topics import Topic
from tables import offsets
from tables.database import connect
from topics.clients import producer_config
from topics.identity import identify
from topics.scan import find_ranges

WINDOW = 5_000
"""The number of events that are shuffled together, as where many webhooks arrive together."""
FLUSHED_TOGETHER = 50_000
FLUSH_S = 60.0
FETCHED_ROWS = 5_000
ROWS: LiteralString = """
SELECT id, whatsapp_message_id, sent_at, delivered_at, read_at, failed_at FROM campaign_recipients
WHERE id > %s AND attempt > 0 ORDER BY id
"""
Made = tuple[str, bytes]
"""Key and value of a record."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written to the topic."""

    records: int
    last: UUID
    """The last row whose events were written."""


def fill(settings: Settings, after: UUID) -> Filled:
    """Write the events of all rows whose id is greater than `after`. Of ten rows nine have events, 3.4 on average."""
    producer = Producer(producer_config(settings))
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    last = [after]
    count = 0
    for key, value in _shuffled(_records(settings, after, last)):
        producer.produce(topic, value, key)
        count += 1
        if count % FLUSHED_TOGETHER == 0:
            producer.flush(FLUSH_S)
    assert producer.flush(FLUSH_S) == 0, "the input is stored"
    return Filled(count, last[0])


async def note_as_applied(settings: Settings) -> None:
    """Move the offsets of the sink to the ends of the topic, because the rows have the facts of its records."""
    identity = await identify(settings, Topic.RECIPIENT_EVENTS)
    available = await find_ranges(settings, identity.topic)
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="bench") as connection:
        known = await offsets.read_offsets(connection, identity, available)
        moves = {partition: (known[partition], end) for partition, (_, end) in available.items()}
        await offsets.advance_offsets(connection, identity, moves)


def _shuffled(records: Iterator[Made]) -> Iterator[Made]:
    draw = random.Random(1)  # noqa: S311 - a benchmark needs the same order again
    while window := list(islice(records, WINDOW)):
        draw.shuffle(window)
        yield from window


def _records(settings: Settings, after: UUID, last: list[UUID]) -> Iterator[Made]:
    """The records of each row. `last` gets the id of the row."""
    templates = {kind: _template(kind) for kind in _KINDS}
    with (
        psycopg.connect(settings.database_url.get_secret_value()) as connection,
        connection.cursor("rows", binary=True) as cursor,
    ):
        cursor.itersize = FETCHED_ROWS
        cursor.execute(ROWS, [after])
        for id_, wamid, sent_at, delivered_at, read_at, failed_at in cursor:
            last[0] = id_
            times = (sent_at, sent_at, failed_at, delivered_at, read_at)
            for kind, at in zip(_KINDS, times, strict=True):
                if at is not None:
                    yield str(id_), _record(templates[kind], id_, wamid, at)


_KINDS = (EventKind.ACCEPTED, EventKind.SENT, EventKind.FAILED, EventKind.DELIVERED, EventKind.READ)


def _template(kind: EventKind) -> Mapping[str, Any]:
    """An event as its writer encodes it. Encoding each one by its model would take most of the time."""
    now, is_ours = datetime.now(UTC), kind is EventKind.ACCEPTED
    event = RecipientEvent(
        producer=PRODUCER,
        kind=kind,
        campaign_id=CAMPAIGN,
        recipient_id=RecipientId(UUID(int=0)),
        attempt=1,
        wamid=Wamid("-"),
        phone_number_id=NUMBER_ID,
        occurred_at=now,
        received_at=now,
        failure=NOT_DELIVERABLE if kind is EventKind.FAILED else None,
        pricing=None if is_ours else Pricing(type="regular", category="marketing"),
        origin=None if is_ours else Origin(topic="webhooks.raw", partition=1, offset=10_000),
    )
    found: Mapping[str, Any] = orjson.loads(encode(event))
    return found


def _record(template: Mapping[str, Any], id_: UUID, wamid: str, at: datetime) -> bytes:
    values = {**template, "recipient_id": id_, "wamid": wamid, "occurred_at": at, "received_at": at}
    return orjson.dumps(values, option=orjson.OPT_UTC_Z)
