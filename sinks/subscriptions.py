"""Writes batches of `subscription.events` to Postgres, each in one transaction with its offsets.

The latest statement of a source wins, so events may arrive in any order and more than once. Two kinds of events wait in
a table of their own, and are tried again every second: an event that names a message whose recipient is not known yet,
and an event whose row another session has locked. The first is applied at once under the keys that it names; only the
link to the recipient is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from domain.opt_outs import PersonalOptOut
from domain.people import PersonKey
from domain.subscriptions import fold_subscriptions, keys_of_event
from runtime import metrics
from runtime.settings import Settings
from schemas.dead_letters import DeadItem
from schemas.places import Place, Record, TopicIdentity
from schemas.reasons import DeadLetterReason
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from sinks.batch import Moves
from sinks.connection import SinkConnection
from sinks.letters import BatchLetters
from tables import offsets, opt_outs, person_links, subscriptions
from tables.database import Connection, LockNotAvailable, is_data_error, is_transient
from tables.opt_outs import NotedOptOut
from tables.subscriptions import FIRST_WAITING
from topics.decoding import dead_item, decoded
from topics.exits import ENDS_PROCESSES

WAITING_EVERY_S = 1.0
WAITING_ROWS_MAX = 500
ATTRIBUTED_MAX = 500
"""Opt-outs that are attributed to messages in one transaction."""

log = structlog.get_logger("sinks.sink")


@dataclass(slots=True)
class _Batch:
    """The content of records: events with their records, and dead items."""

    events: list[SubscriptionEvent] = field(default_factory=list)
    sources: list[Record] = field(default_factory=list)
    dead: list[DeadItem] = field(default_factory=list)


class SubscriptionWriter:
    """The Postgres connection of the sink of subscriptions, and what it writes there."""

    def __init__(self, settings: Settings, identity: TopicIdentity, letters: BatchLetters) -> None:
        self._identity = identity
        self._letters = letters
        self.connection = SinkConnection(settings, opt_outs.ATTRIBUTION_SESSION)
        self._waiting_at = 0.0
        self._waiting_after = FIRST_WAITING

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    async def foresee(self, records: Sequence[Record]) -> Sequence[Record]:
        """Do nothing: opt-outs are few."""
        return records

    async def write(self, records: Sequence[Record], moves: Moves, condemned: Place | None = None) -> None:
        """Write a batch. `condemned`: the place of a record that ends processes; alone, it is dead-lettered unread.

        Raises psycopg.Error, PublishFailed and TooManyDeadLetters. Nothing is written then.
        """
        batch = _decoded(records, condemned)
        connection = await self.connection.get()
        try:
            await self._apply(connection, batch.events, batch, moves, records)
        except LockNotAvailable:
            await self._apply_free(connection, batch, moves, records)
        except Exception as error:
            if not is_data_error(error):
                raise
            refused = await _refused(connection, batch.events)
            batch.dead += [dead_item(batch.sources[at], DeadLetterReason.REFUSED_BY_DATABASE) for at in refused]
            others = [event for at, event in enumerate(batch.events) if at not in refused]
            await self._apply(connection, others, batch, moves, records)
        self._letters.forget(records)
        for event in batch.events:
            metrics.SINK_SUBSCRIPTIONS.labels(event.source.value, event.kind.value).inc()

    async def apply_held(self) -> None:
        """Try waiting events again, and attribute opt-outs, a page of each. An outage is left to the next batch."""
        if time.monotonic() < self._waiting_at:
            return
        self._waiting_at = time.monotonic() + WAITING_EVERY_S
        try:
            connection = await self.connection.get()
            await self._apply_waiting(connection)
            await opt_outs.attribute_due(connection, ATTRIBUTED_MAX)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning(
                "waiting opt-outs still wait, and others are attributed to messages later",
                error=str(error) or type(error).__name__,
            )
            await self.connection.close()

    async def _apply(
        self,
        connection: Connection,
        events: Sequence[SubscriptionEvent],
        batch: _Batch,
        moves: Moves,
        records: Sequence[Record],
        locked: Sequence[SubscriptionEvent] = (),
    ) -> None:
        """Write events in one transaction with the offsets. The dead letters are published before."""
        await self._letters.publish(batch.dead, records)
        async with connection.transaction():
            await store_subscriptions(connection, events)
            await subscriptions.hold(connection, locked, are_locked=True)
            await offsets.advance_offsets(connection, self._identity, moves)

    async def _apply_free(self, connection: Connection, batch: _Batch, moves: Moves, records: Sequence[Record]) -> None:
        """Write the events whose rows are free. The others wait, so that no locked row holds up an opt-out."""
        async with connection.transaction():
            is_free = await _are_free(connection, batch.events)
        locked = [event for event, free in zip(batch.events, is_free, strict=True) if not free]
        if not locked:
            raise LockNotAvailable("a lock was held, and no row of the batch is locked now")
        log.warning("opt-outs or opt-ins wait, because another session has locked their rows", events=len(locked))
        others = [event for event, free in zip(batch.events, is_free, strict=True) if free]
        await self._apply(connection, others, batch, moves, records, locked)

    async def _apply_waiting(self, connection: Connection) -> None:
        if not await subscriptions.is_any_waiting(connection):
            self._waiting_after = FIRST_WAITING
            return
        async with connection.transaction():
            page = await subscriptions.take_waiting(connection, self._waiting_after, WAITING_ROWS_MAX)
            known = await _recipients(connection, [each.event for each in page])
            ready = [each for each in page if each.is_locked or each.event.wamid in known]
            is_free = await _are_free(connection, [each.event for each in ready])
            applied = [each for each, free in zip(ready, is_free, strict=True) if free]
            await apply_subscriptions(connection, [each.event for each in applied])
            await subscriptions.unlock_waiting(connection, [each for each in applied if each.is_locked])
            done = [each for each in applied if each.event.wamid is None or each.event.wamid in known]
            lost = [each for each in page if each.is_old and not each.is_locked and each.event.wamid not in known]
            await subscriptions.release_waiting(connection, [*done, *lost])
        self._waiting_after = page[-1].id if len(page) == WAITING_ROWS_MAX else FIRST_WAITING
        if nameless := sum(each.event.person is None for each in lost):
            log.warning("opt-outs or opt-ins named only a message that is not ours; they are dropped", events=nameless)


async def store_subscriptions(connection: Connection, events: Sequence[SubscriptionEvent]) -> None:
    """Merge events inside the caller's transaction, and keep those whose message is not known yet."""
    if events:
        unanswered = await apply_subscriptions(connection, events)
        await subscriptions.hold(connection, unanswered, are_locked=False)


async def apply_subscriptions(connection: Connection, events: Sequence[SubscriptionEvent]) -> list[SubscriptionEvent]:
    """Merge events inside the caller's transaction. Returns those whose message is not known yet.

    Applying an event again changes nothing.
    """
    known = await _recipients(connection, events)
    folded = fold_subscriptions(events, known)
    await subscriptions.merge(connection, folded.stated)
    await person_links.link_keys(connection, folded.links)
    await opt_outs.note(connection, _personal(events, known))
    return [event for event in events if event.wamid is not None and event.wamid not in known]


def _personal(events: Sequence[SubscriptionEvent], recipients: Mapping[str, PersonKey]) -> list[NotedOptOut]:
    """The opt-outs of people themselves. What operators enter is no answer to a message."""
    found: list[NotedOptOut] = []
    for event in events:
        if event.kind is SubscriptionKind.OPTED_OUT and event.source is not Source.OPERATOR:
            keys = keys_of_event(event, recipients)
            found += [NotedOptOut(keys[0], PersonalOptOut(event.occurred_at, event.wamid or ""))] if keys else []
    return found


async def _recipients(connection: Connection, events: Sequence[SubscriptionEvent]) -> dict[str, PersonKey]:
    """By wamid the person that got the message that an event names."""
    return await subscriptions.find_answered(connection, {each.wamid for each in events if each.wamid is not None})


async def _are_free(connection: Connection, events: Sequence[SubscriptionEvent]) -> list[bool]:
    """For each event whether no other session has locked its row. Free rows stay locked until the transaction ends.

    Names alone have no row, so they never wait.
    """
    known = await _recipients(connection, events)
    keys = [[] if event.kind is SubscriptionKind.IDENTIFIED else keys_of_event(event, known) for event in events]
    rows = [(named[0], event.source) if named else None for event, named in zip(events, keys, strict=True)]
    locked = await subscriptions.find_locked(connection, sorted({row for row in rows if row is not None}))
    return [row not in locked for row in rows]


async def _refused(connection: Connection, events: Sequence[SubscriptionEvent]) -> set[int]:
    """The positions of the events that Postgres refuses. Every transaction is rolled back."""
    refused: set[int] = set()
    for at, event in enumerate(events):
        try:
            async with connection.transaction(force_rollback=True):
                await store_subscriptions(connection, [event])
        except Exception as error:
            if not is_data_error(error):
                raise
            refused.add(at)
    return refused


def _decoded(records: Sequence[Record], condemned: Place | None) -> _Batch:
    batch = _Batch()
    if [record.place for record in records] == [condemned]:
        batch.dead.append(dead_item(records[0], DeadLetterReason.BUG, ENDS_PROCESSES))
        return batch
    for record in records:
        event = decoded(SubscriptionEvent, record)
        if isinstance(event, DeadItem):
            batch.dead.append(event)
        else:
            batch.events.append(event)
            batch.sources.append(record)
    return batch
