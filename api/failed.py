"""Repeats failed messages by code or class, for the API and the command `campaigns failed retry`.

A failed message surely was not delivered: either Meta refused it, or its status was `failed`. A repetition is an event
`retry` for the failed attempt. The sink applies it, and the row is due at once, also beyond its `max_retries`. The same
event twice changes nothing, so a call that was interrupted may be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.error_codes import NOT_OF_THE_PERSON, TABLE, ErrorClass, codes_of
from domain.lifecycle import Action, ActionNotAllowed, CampaignStatus
from domain.lifecycle import after as status_after
from domain.traces import Step
from runtime.settings import Settings
from runtime.tracing import TRACES
from schemas.codec import PRODUCER, encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import CampaignId
from schemas.places import Outgoing
from schemas.topics import Topic
from tables import campaigns, failed
from tables.database import Connection
from tables.failed import RETRIED, FailureFilter
from tables.server import read_clock
from topics.publisher import Publisher

CHUNK = 1000
_LOWEST_ID = UUID(int=0)
CANNOT_RETRY = frozenset({CampaignStatus.DRAFT, CampaignStatus.CANCELLED})


class Connections(Protocol):
    """Lends a connection for one page."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        """A connection of a pool."""
        ...


@dataclass(frozen=True, slots=True)
class OneConnection:
    """Lends a connection that the caller holds anyway."""

    held: Connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """The connection of the caller."""
        yield self.held


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """The failures to repeat, by code and by class; both add up. With `is_dry` nothing is published."""

    codes: Collection[int] = ()
    classes: Collection[ErrorClass] = ()
    is_dry: bool = False

    def filter(self) -> FailureFilter:
        """The codes to search for. An unknown code belongs to the class of requests."""
        wanted = frozenset(self.codes) | codes_of(self.classes)
        return FailureFilter(wanted, unlisted=ErrorClass.REQUEST in self.classes, listed=frozenset(TABLE))


@dataclass(frozen=True, slots=True)
class RetryResult:
    """How many recipients are repeated, and how many are not, by the reason."""

    retried: int
    already_due: int
    too_young: int
    exhausted: int


async def retry_failed(
    connections: Connections, publisher: Publisher, settings: Settings, campaign_id: UUID, order: RetryOrder
) -> RetryResult:
    """Publish `retry` for every failed recipient of the campaign that the order names.

    Raises UnknownCampaign, ActionNotAllowed for a draft and a cancelled campaign, and PublishFailed; the call may be
    repeated then.
    """
    async with connections.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
        now = await read_clock(connection)
    if campaign.status in CANNOT_RETRY:
        raise ActionNotAllowed(f"the campaign is {campaign.status}: nothing is sent again", campaign.status)
    fates: Counter[str] = Counter()
    wanted, after = order.filter(), _LOWEST_ID
    while True:
        async with connections.connection() as connection:
            page = await failed.find(connection, campaign_id, wanted, after)
        fates.update(each.fate for each in page.found)
        events = [_retry(campaign_id, each, now) for each in page.found if each.fate == RETRIED and not order.is_dry]
        await _publish(publisher, settings, events)
        if page.after is None:
            return RetryResult(fates[RETRIED], fates["already_due"], fates["too_young"], fates["exhausted"])
        after = page.after


async def retry_before_resume(
    connection: Connection, publisher: Publisher, settings: Settings, campaign_id: UUID, *, is_dry: bool = False
) -> RetryResult:
    """Publish `retry` for the failures that are not of the person; the caller then resumes the campaign.

    Nothing is sent before the resume, so an interrupted call leaves a paused campaign and may be repeated.
    Raises UnknownCampaign, ActionNotAllowed where the campaign cannot be resumed, and PublishFailed.
    """
    campaign = await campaigns.read(connection, campaign_id)
    status_after(Action.RESUME, campaign.status)
    order = RetryOrder(classes=NOT_OF_THE_PERSON, is_dry=is_dry)
    return await retry_failed(OneConnection(connection), publisher, settings, campaign_id, order)


async def _publish(publisher: Publisher, settings: Settings, events: list[RecipientEvent]) -> None:
    topic = settings.topic(Topic.RECIPIENT_EVENTS)
    for start in range(0, len(events), CHUNK):
        await publisher.publish_batch(
            [
                Outgoing(topic, each.key, encode(each), TRACES.headers(each, Step.CLAIM))
                for each in events[start : start + CHUNK]
            ]
        )


def _retry(campaign_id: UUID, recipient: failed.FailedRecipient, now: datetime) -> RecipientEvent:
    return RecipientEvent(
        producer=PRODUCER,
        kind=EventKind.RETRY,
        campaign_id=CampaignId(campaign_id),
        recipient_id=recipient.recipient_id,
        attempt=recipient.attempt,
        occurred_at=now,
        received_at=now,
    )
