"""Finds sends with an unknown outcome, and publishes an operator's decision about each as an event.

A webhook resolves an unknown outcome automatically, so a retry waits until everything that was received is applied. It
may still send a message twice, because the outcome is unknown. This module never writes to the rows.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from runtime.settings import Settings
from schemas.codec import PRODUCER, encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import CampaignId, RecipientId
from schemas.places import Outgoing, Watermarks
from schemas.reasons import RepairRefusal
from schemas.topics import Topic
from tables import parked
from tables.database import Connection
from tables.offsets import read_positions
from tables.unknowns import find_unknown
from topics.lag import KafkaQueries
from topics.publisher import AsyncPublisher

AGE_MIN = timedelta(minutes=15)
"""A sender frozen inside its send call may still post, and the webhook usually arrives within minutes."""
CATCH_UP_S = 10.0
"""How long a retry waits for events that were received before it."""
POLL_S = 0.2
RECONCILER_GROUP = "reconciler"
PUBLISH_TIMEOUT_MS = 15_000
"""An operator waits for it and may repeat it: the same event twice changes nothing."""
ROWS_MAX = 100_000
CHUNK = 1000


@dataclass(frozen=True, slots=True)
class UnknownRecipient:
    """A recipient whose newest attempt has an unknown outcome."""

    recipient_id: RecipientId
    campaign_id: CampaignId
    attempt: int
    phone_number: str = field(repr=False)
    since: datetime
    is_retrying: bool
    """Whether an operator has already requested a retry."""
    campaign_name: str
    campaign_status: str


@dataclass(frozen=True, slots=True)
class UnknownRefusal:
    """Why an act on unknown recipients is refused."""

    reason: RepairRefusal
    message: str
    can_be_forced: bool = False
    """Whether --force overrides it."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A status whose message id does not belong to a known attempt yet."""

    wamid: str = field(repr=False)
    phone_number_id: str | None
    first_seen_at: datetime
    statuses: tuple[str, ...]


async def find(
    connection: Connection, *, campaign: UUID | None = None, ids: Collection[UUID] | None = None, limit: int = ROWS_MAX
) -> tuple[list[UnknownRecipient], int]:
    """Unknown recipients, the oldest first, and how many there are."""
    rows, total = await find_unknown(connection, campaign, ids, limit)
    return [UnknownRecipient(*row) for row in rows], total


async def find_parked(connection: Connection, limit: int) -> tuple[list[Parked], int]:
    """Parked statuses, the oldest first, and how many there are."""
    rows, total = await parked.find_parked(connection, limit)
    names = ("sent", "delivered", "read", "failed", "replied")
    found = [
        Parked(row[0], row[1], row[2], tuple(name for name, at in zip(names, row[3:8], strict=True) if at is not None))
        for row in rows
    ]
    return found, total


async def behind(connection: Connection, settings: Settings, patience_s: float = CATCH_UP_S) -> UnknownRefusal | None:
    """Wait until the reconciler and then the sink have processed all current records. Raises KafkaAway."""
    webhooks, events = settings.topic(Topic.WEBHOOKS_RAW), settings.topic(Topic.RECIPIENT_EVENTS)
    with KafkaQueries(settings) as broker:

        async def reconciled(ends: Watermarks) -> int:
            passed = await asyncio.to_thread(broker.committed, RECONCILER_GROUP, webhooks, ends)
            return _left(ends, passed)

        async def applied(ends: Watermarks) -> int:
            return _left(ends, await read_positions(connection, events))

        deadline = time.monotonic() + patience_s
        for stage, topic, left_of, reason in (
            ("reconciler", webhooks, reconciled, RepairRefusal.RECONCILER_LAG),
            ("sink", events, applied, RepairRefusal.SINK_LAG),
        ):
            ends = await asyncio.to_thread(broker.watermarks, topic)
            while left := await left_of(ends):
                if time.monotonic() > deadline:
                    message = f"the {stage} has a backlog of {left} records, and an answer may be among them"
                    return UnknownRefusal(reason, message, can_be_forced=True)
                await asyncio.sleep(POLL_S)
    return None


def too_young(unknowns: Sequence[UnknownRecipient], now: datetime) -> UnknownRefusal | None:
    """Refuse while the outcome of any recipient has been unknown for only a short time."""
    young = [each for each in unknowns if now - each.since < AGE_MIN]
    if not young:
        return None
    wait = max(AGE_MIN - (now - each.since) for each in young)
    minutes = int(wait.total_seconds() // 60) + 1
    message = f"{len(young)} of them have been unknown for less than 15 minutes; wait {minutes} more minutes"
    return UnknownRefusal(RepairRefusal.TOO_YOUNG, message, can_be_forced=True)


async def publish(
    settings: Settings, kind: EventKind, unknowns: Sequence[UnknownRecipient], clock: Callable[[], datetime]
) -> int:
    """Publish `retry` or `assumed_sent` for each recipient. Raises PublishFailed."""
    assert kind in (EventKind.RETRY, EventKind.ASSUMED_SENT), "an operator may publish only these two"
    publisher = AsyncPublisher(settings, message_timeout_ms=PUBLISH_TIMEOUT_MS)
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    try:
        for start in range(0, len(unknowns), CHUNK):
            events = [_event(kind, each, clock()) for each in unknowns[start : start + CHUNK]]
            await publisher.publish_batch([Outgoing(topic, event.key, encode(event)) for event in events])
    finally:
        await publisher.close()
    return len(unknowns)


def _event(kind: EventKind, unknown: UnknownRecipient, now: datetime) -> RecipientEvent:
    return RecipientEvent(
        producer=PRODUCER,
        kind=kind,
        campaign_id=unknown.campaign_id,
        recipient_id=unknown.recipient_id,
        attempt=unknown.attempt,
        occurred_at=now,
        received_at=now,
    )


def _left(ends: Watermarks, passed: dict[int, int]) -> int:
    """How many records before the ends are not processed."""
    return sum(max(0, high - max(low, passed.get(p, low))) for p, (low, high) in ends.items())
