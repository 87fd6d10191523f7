"""Who may be written to: what each source (keyword, platform, operator) said last. A person is subscribed while no
source says otherwise; claims and releases read these rows themselves. Each statement that took hold also waits in an
outbox for `subscription.events`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from schemas.codec import PRODUCER
from schemas.subscriptions import Source, SubscriptionEvent, SubscriptionKind
from tables.database import Connection
from tables.statements import load

_SQL = load("subscriptions")


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whether a person may be written to, and who says no."""

    out_by: tuple[Source, ...]

    @property
    def subscribed(self) -> bool:
        """No source is out."""
        return not self.out_by


@dataclass(frozen=True, slots=True)
class UnpublishedSubscription:
    """A statement that `subscription.events` is to be told; `id` is its place in the outbox."""

    id: int
    event: SubscriptionEvent


async def state(
    connection: Connection, person: str, source: Source, *, subscribed: bool, occurred_at: datetime
) -> Subscription:
    """State what a source says, and leave it to be published. An older statement than the one known changes nothing."""
    said = {"person": person, "source": source.value, "subscribed": subscribed, "occurred_at": occurred_at}
    await connection.execute(_SQL["state_subscription"], said)
    return await read(connection, person)


async def read(connection: Connection, person: str) -> Subscription:
    """What all sources say together."""
    cursor = await connection.execute(_SQL["find_out_by"], {"person": person})
    return Subscription(tuple(Source(row[0]) for row in await cursor.fetchall()))


async def unpublished(connection: Connection, limit: int) -> list[UnpublishedSubscription]:
    """The oldest statements that are not published: publish, then `mark_published`."""
    cursor = await connection.execute(_SQL["read_unpublished"], {"limit": limit})
    return [
        UnpublishedSubscription(
            row_id,
            SubscriptionEvent(
                producer=PRODUCER,
                person=person,
                kind=SubscriptionKind.OPTED_IN if subscribed else SubscriptionKind.OPTED_OUT,
                source=Source(source),
                occurred_at=occurred_at,
            ),
        )
        for row_id, person, source, subscribed, occurred_at in await cursor.fetchall()
    ]


async def mark_published(connection: Connection, published: Collection[UnpublishedSubscription]) -> None:
    """Say that Kafka acknowledged these."""
    await connection.execute(_SQL["mark_published"], {"ids": [each.id for each in published]})
