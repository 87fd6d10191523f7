"""Subscriptions: the last opt-in or opt-out of a person per source. A person is named by a key (domain/people.py).

A person is subscribed unless a source has unsubscribed them. Releases and claims read these rows directly. Each change
that takes effect is also written to an outbox for `subscription.events`.
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
    """Whether a person may be messaged, and the sources that unsubscribed them."""

    out_by: tuple[Source, ...]

    @property
    def subscribed(self) -> bool:
        """No source has unsubscribed the person."""
        return not self.out_by


@dataclass(frozen=True, slots=True)
class UnpublishedSubscription:
    """A change to publish to `subscription.events`. `id` is its id in the outbox."""

    id: int
    event: SubscriptionEvent


async def state(
    connection: Connection, person: str, source: Source, *, subscribed: bool, occurred_at: datetime
) -> Subscription:
    """Store a person's own change, and add it to the outbox. A change older than the stored one has no effect."""
    values = {"person": person, "source": source.value, "subscribed": subscribed, "occurred_at": occurred_at}
    await connection.execute(_SQL["state_subscription"], values)
    return await read(connection, person)


async def state_by_operator(connection: Connection, person: str, *, subscribed: bool) -> Subscription:
    """Store an operator's change, and add it to the outbox. The database orders these changes, so each takes effect."""
    await connection.execute(_SQL["state_by_operator"], {"person": person, "subscribed": subscribed})
    return await read(connection, person)


async def read(connection: Connection, person: str) -> Subscription:
    """The subscription of a person over all sources."""
    cursor = await connection.execute(_SQL["find_out_by"], {"person": person})
    return Subscription(tuple(Source(row[0]) for row in await cursor.fetchall()))


async def unpublished(connection: Connection, limit: int) -> list[UnpublishedSubscription]:
    """The oldest changes that are not published. The caller publishes, then calls `mark_published`."""
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
    """Mark these changes as published: Kafka has acknowledged them."""
    await connection.execute(_SQL["mark_published"], {"ids": [each.id for each in published]})
