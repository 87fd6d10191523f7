"""What a record of a replayed topic contains, by the rules of the stage that reads it live. Publishes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from domain.correlation import Ownership
from domain.keywords import Keywords
from runtime.settings import Settings
from schemas.dead_letters import DeadItem
from schemas.events import RecipientEvent
from schemas.places import Record
from schemas.subscriptions import SubscriptionEvent
from schemas.topics import Topic
from streams.reconciler.reading import DEFAULT_KEYWORDS, reconcile
from topics.decoding import decoded

REPLAYABLE = (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS)
EVENTS_MAX = 2000
"""Most events of a portion, which is one transaction. A record of webhooks may hold more; it is not divided."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ReadRecord:
    """The content of one record: its events, and the reasons of the items that are not events."""

    events: list[RecipientEvent] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    subscriptions: list[SubscriptionEvent] = field(default_factory=list)
    """Opt-outs and opt-ins of people."""


Reader = Callable[[Record], ReadRecord]


def reader_of(settings: Settings, topic: Topic) -> Reader:
    """How records of this topic become events. Raises InvalidSettings, ValueError for a topic without events."""
    if topic is Topic.RECIPIENT_EVENTS:
        return read_event
    if topic is not Topic.WEBHOOKS_RAW:
        raise ValueError(f"{topic} cannot be replayed")
    settings.require("callback_secret")  # without it no status would be recognised as ours
    ownership = Ownership(
        settings.callback_secret.get_secret_value().encode(),
        settings.deployment,
        settings.known_numbers,
        settings.time_scale,
    )
    keywords = settings.keywords()
    return lambda record: read_webhooks(record, ownership, keywords)


def read_event(record: Record) -> ReadRecord:
    """Read a record of `recipient.events`. It is refused where the sink would dead-letter it."""
    event = decoded(RecipientEvent, record)
    if not isinstance(event, DeadItem):
        return ReadRecord([event])
    if event.raised is not None:
        log.error(
            "unhandled exception while reading an event; it is skipped", place=str(record.place), exc_info=event.raised
        )
    return ReadRecord(refused=Counter([event.reason]))


def read_webhooks(record: Record, ownership: Ownership, keywords: Keywords = DEFAULT_KEYWORDS) -> ReadRecord:
    """Read a record of `webhooks.raw`. Items that the reconciler would dead-letter are refused."""
    found = reconcile(record, ownership, datetime.now(UTC), keywords)
    return ReadRecord(found.events, Counter(item.reason for item in found.dead), found.subscriptions)


def portions(
    batch: Sequence[Record], reader: Reader, refused: Counter[str]
) -> Iterator[tuple[list[Record], list[RecipientEvent]]]:
    """Divide a batch into whole records with few enough events for one transaction. Counts refused items by reason."""
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
