"""Subscriptions: the last opt-in or opt-out of a person per source. A person is named by a key (domain/people.py).

A person is subscribed unless a source has unsubscribed them. Releases and claims read these rows directly. The acts of
operators are written here first, and to an outbox for `subscription.events`. The statements of people come from that
topic. The topic has both, so the sink merges an operator's act again, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from domain.people import PersonKey
from domain.subscriptions import StatedSubscription, SubscriptionKey
from schemas.codec import PRODUCER, decode, encode
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from tables.arrays import plain, text, times
from tables.database import Connection
from tables.statements import load

_SQL = load("subscriptions")
WAIT_MAX_S = 86_400
"""How long an event waits for its message, in seconds: as long as a parked status. Then the message is not ours."""
FIRST_WAITING = 0
"""The place before all waiting events."""


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


@dataclass(frozen=True, slots=True)
class WaitingSubscription:
    """An event that is not applied completely. `id` is its place among those that wait."""

    id: int
    event: SubscriptionEvent
    is_locked: bool
    """Nothing of it is applied. Otherwise only the recipient of its message is missing."""
    is_old: bool
    """It has waited for as long as a parked status waits."""


async def merge(connection: Connection, stated: Mapping[SubscriptionKey, StatedSubscription]) -> None:
    """Merge what persons and operators stated. It adds nothing to the outbox: the statements come from the topic."""
    if not stated:
        return
    keys = sorted(stated)
    values = {
        "person": [person for person, _ in keys],
        "source": [source.value for _, source in keys],
        "subscribed": plain(stated[key].subscribed for key in keys),
        "occurred_at": times(stated[key].occurred_at for key in keys),
        "opted_out_at": times(stated[key].opted_out_at for key in keys),
    }
    await connection.execute(_SQL["merge_subscriptions"], values)


async def find_locked(connection: Connection, keys: Sequence[SubscriptionKey]) -> set[SubscriptionKey]:
    """Those whose row another transaction has locked. The others are locked until the end of the transaction."""
    if not keys:
        return set()
    values = {"person": [person for person, _ in keys], "source": [source.value for _, source in keys]}
    cursor = await connection.execute(_SQL["find_locked_subscriptions"], values)
    return {keys[line - 1] for (line,) in await cursor.fetchall()}


async def find_answered(connection: Connection, wamids: Collection[str]) -> dict[str, PersonKey]:
    """The person that got each of these messages. Messages that are not known are missing."""
    if not wamids:
        return {}
    cursor = await connection.execute(_SQL["find_answered"], {"wamids": sorted(wamids)})
    return {wamid: PersonKey(person) for wamid, person in await cursor.fetchall()}


async def hold(connection: Connection, events: Sequence[SubscriptionEvent], *, are_locked: bool) -> None:
    """Keep events that cannot be applied completely yet. `are_locked`: nothing of them is applied."""
    once = {(each.wamid, each.person, each.source, each.occurred_at, each.kind): each for each in events}
    events = list(once.values())
    if not events:
        return
    values = {
        "is_locked": plain(are_locked for _ in events),
        "person": text(each.person for each in events),
        "wamid": text(each.wamid for each in events),
        "source": [each.source.value for each in events],
        "subscribed": plain(each.kind is SubscriptionKind.OPTED_IN for each in events),
        "occurred_at": times(each.occurred_at for each in events),
        "event": [encode(each).decode() for each in events],
    }
    await connection.execute(_SQL["hold_subscriptions"], values)


async def is_any_waiting(connection: Connection) -> bool:
    """Whether any event waits. It costs a quarter of an empty round with its transaction."""
    row = await (await connection.execute(_SQL["is_any_waiting"])).fetchone()
    assert row is not None, "EXISTS always answers"
    return bool(row[0])


async def take_waiting(connection: Connection, after: int, limit: int) -> list[WaitingSubscription]:
    """The next waiting events after a place, locked until the end of the caller's transaction."""
    values = {"after": after, "limit": limit, "wait_max_s": WAIT_MAX_S}
    cursor = await connection.execute(_SQL["take_waiting"], values)
    return [
        WaitingSubscription(row_id, decode(SubscriptionEvent, event.encode()), is_locked, is_old)
        for row_id, event, is_locked, is_old in await cursor.fetchall()
    ]


async def unlock_waiting(connection: Connection, waiting: Collection[WaitingSubscription]) -> None:
    """Mark these as applied under the keys that they name."""
    if waiting:
        await connection.execute(_SQL["unlock_waiting"], {"ids": plain(each.id for each in waiting)})


async def release_waiting(connection: Connection, waiting: Collection[WaitingSubscription]) -> None:
    """Forget events that were applied, or that have waited long enough."""
    if waiting:
        await connection.execute(_SQL["release_waiting"], {"ids": plain(each.id for each in waiting)})


async def state_by_operator(connection: Connection, person: str, *, subscribed: bool) -> Subscription:
    """Store an operator's change, and add it to the outbox. The database orders these changes, so each takes effect."""
    await connection.execute(_SQL["state_by_operator"], {"person": person, "subscribed": subscribed})
    return await read(connection, person)


async def opt_out_by_operator(connection: Connection, persons: Sequence[str]) -> int:
    """Opt people out as an operator, and return how many were not out by an operator before."""
    if not persons:
        return 0
    row = await (await connection.execute(_SQL["opt_out_by_operator"], {"persons": list(persons)})).fetchone()
    assert row is not None
    return int(row[0])


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
