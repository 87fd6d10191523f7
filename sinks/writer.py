"""Writes batches of records to Postgres, each in one transaction with its offsets.

One batch is one transaction of messages, rows, counters (by triggers) and offsets. It begins only after Kafka has
acknowledged the dead letters of the batch. An event that cannot be applied is refused, and the others are applied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from runtime import metrics
from runtime.settings import Settings
from runtime.tracing import now_ns
from schemas.events import RecipientEvent
from schemas.places import Place, Record, TopicIdentity
from schemas.reasons import DeadLetterReason
from sinks.apply import (
    Applied,
    CodeRaised,
    FoldedEvents,
    KnownPhoneNumbers,
    Unusual,
    apply_by_halves,
    find_refused,
    fold_events,
    is_caused_by_events,
    write_folded,
)
from sinks.batch import Batch, Moves, count_fitting, decode_batch, webhook_delays_s
from sinks.connection import SinkConnection
from sinks.held import HeldEvents
from sinks.letters import BatchLetters
from sinks.mixed import write_mixed
from sinks.prepared import PreparedBatch, prepare
from sinks.reported_failures import feed_breakers
from sinks.spans import record_applied, record_usual
from sinks.usual import UsualPart, take_usual, write_usual
from tables import held_events, offsets
from tables.database import Connection, DatabaseError, LockNotAvailable, is_transient
from tables.pipelines import pipelined_transaction
from tables.recipients import MERGE_SESSION
from topics.dead_letter_limit import TooManyDeadLetters
from topics.decoding import dead_item
from topics.exits import ENDS_PROCESSES
from topics.publisher import PublishFailed

NOTHING_USUAL = UsualPart()

log = structlog.get_logger("sinks.sink")


class BatchWriter:
    """The Postgres connection of a sink, and what it writes there."""

    def __init__(self, settings: Settings, identity: TopicIdentity, letters: BatchLetters) -> None:
        self._settings = settings
        self._identity = identity
        self._letters = letters
        self._numbers = KnownPhoneNumbers()
        self._held = HeldEvents(letters, self._numbers)
        self.connection = SinkConnection(settings, MERGE_SESSION)
        self._reading = SinkConnection(settings, MERGE_SESSION)
        """For the next batch, while the other connection writes the one before."""
        self._foreseen: list[PreparedBatch] = []
        """The batch that is written next, and the one after it."""
        self._written: PreparedBatch | None = None
        """The batch before. To free its objects takes 3 ms, so that is done while Postgres writes the next one."""

    async def foresee(self, records: Sequence[Record]) -> Sequence[Record]:
        """Prepare the next batch: these records, or as many of the first ones as fit into memory. Returns them.

        Where that fails, `write` does it again and finds the reason.
        """
        self._written = None
        try:
            reading = await self._reading.get()
            part = await take_usual(reading, records, self.connection.has_answer)
            fitting = count_fitting(records, part.folded.unusual)
            if fitting < len(records):
                records = records[:fitting]
                part = await take_usual(reading, records, self.connection.has_answer)
            prepared = await prepare(reading, records, part, self._numbers)
        except (CodeRaised, Unusual):
            pass
        except Exception as error:
            if not (isinstance(error, DatabaseError) or is_transient(error)):
                raise
            await self._reading.close()
        else:
            self._foreseen = [*self._foreseen[-1:], prepared]
        return records

    async def close(self) -> None:
        """Close the connections."""
        await self._reading.close()
        await self.connection.close()

    async def write(self, records: Sequence[Record], moves: Moves, condemned: Place | None = None) -> None:
        """Write a batch. `condemned`: the place of a record that ends processes; alone, it is dead-lettered unread.

        Raises psycopg.Error, PublishFailed and TooManyDeadLetters. Nothing is written then.
        """
        started_ns = now_ns()
        connection = await self.connection.get()
        if len(records) == 1 and records[0].place == condemned:
            letters = [dead_item(records[0], DeadLetterReason.BUG, ENDS_PROCESSES)]
            await self._write_generally(connection, Batch(records, [], [], letters, moves), started_ns)
            return
        try:
            part, batch, applied = await self._write_usually(connection, records, moves)
        except Exception as error:
            if not (isinstance(error, LockNotAvailable | Unusual) or is_caused_by_events(error)):
                raise
            self._note(error)
            batch = Batch(records, *decode_batch(records), moves)
            write = self._write_without_locked if isinstance(error, LockNotAvailable) else self._write_generally
            await write(connection, batch, started_ns)
        else:
            record_usual(records, part.folded.unusual, started_ns)
            await self._finish(connection, batch, applied, batch.events, started_ns, part)

    @staticmethod
    def _note(error: Exception) -> None:
        """Log why the fast way gave a batch up. The text of an error of Postgres may name people."""
        if isinstance(error, CodeRaised):
            log.error("unhandled exception in the fast way; the batch is written in the general way", exc_info=error)
        else:
            log.info("a batch is written again in the general way", reason=type(error).__name__)

    async def _write_usually(
        self, connection: Connection, records: Sequence[Record], moves: Moves
    ) -> tuple[UsualPart, Batch, Applied]:
        """Write a batch in the fast way. Returns its usual part, its other events, and the result.

        It leaves locked rows, refused values and parked statuses to the general way. They are rare, so such a batch is
        written again as a whole.
        """
        foreseen = [each for each in self._foreseen if each.records is records and each.is_fresh]
        self._foreseen = [each for each in self._foreseen if each.records is not records]
        if foreseen:
            prepared = foreseen[0]
        else:
            prepared = await prepare(connection, records, await take_usual(connection, records), self._numbers)
        batch = Batch(records, prepared.events, prepared.sources, prepared.malformed, moves)
        applied = await self._write_prepared(connection, batch, prepared)
        self._written = prepared
        return prepared.part, batch, applied

    async def _write_generally(self, connection: Connection, batch: Batch, started_ns: int) -> None:
        """Write a batch in the way that finds events at fault, and locked rows."""
        try:
            applied = await self._apply(connection, batch)
        except LockNotAvailable:
            await self._write_without_locked(connection, batch, started_ns)
        else:
            await self._finish(connection, batch, applied, batch.events, started_ns)

    async def _write_without_locked(self, connection: Connection, batch: Batch, started_ns: int) -> None:
        free = await self._without_locked(connection, batch)
        applied = await self._apply(connection, free)
        await self._finish(connection, free, applied, batch.events, started_ns)

    async def _finish(
        self,
        connection: Connection,
        batch: Batch,
        applied: Applied,
        events: Sequence[RecipientEvent],
        started_ns: int,
        usual: UsualPart = NOTHING_USUAL,
    ) -> None:
        """Count what is stored, and feed the breakers with `events`, those that are held included."""
        self._letters.forget(batch.records)
        self._count(applied, len(batch.events) + usual.folded.events)
        record_applied(batch.events, batch.sources, applied.refused, started_ns)
        now = datetime.now(UTC)
        delays_s = list(webhook_delays_s(batch.events, applied.refused, now))
        metrics.SINK_WEBHOOK_DELAY_SECONDS.observe_many(delays_s)
        usual.received.observe(metrics.SINK_WEBHOOK_DELAY_SECONDS, now.timestamp())
        await feed_breakers(connection, events, self._settings.time_scale)

    async def apply_held(self) -> None:
        """Apply held events whose rows are free again. An outage of Postgres is left to the next batch."""
        try:
            found = await self._held.apply(await self.connection.get())
        except Exception as error:
            if not (is_transient(error) or isinstance(error, PublishFailed | TooManyDeadLetters)):
                raise
            log.warning("held events still wait", error=str(error) or type(error).__name__)
            await self.connection.close()
        else:
            self._count(found.applied, found.events)

    async def _apply(self, connection: Connection, batch: Batch) -> Applied:
        try:
            return await self._write_others(connection, batch, {})
        except Exception as error:
            if not is_caused_by_events(error):
                raise
            return await self._write_without_refused(connection, batch)

    async def _without_locked(self, connection: Connection, batch: Batch) -> Batch:
        """The batch without the events of rows that another session has locked. They are held, so no other one waits.

        Raises LockNotAvailable if no row is locked now: the batch is then tried again as a whole.
        """
        async with connection.transaction():
            locked = await held_events.find_locked(connection, batch.events)
        if not locked:
            raise LockNotAvailable("a lock was held, and no row of the batch is locked now")
        log.warning("events wait, because another session has locked their recipients", events=len(locked))
        return batch.without(locked)

    @staticmethod
    def _count(applied: Applied, events: int) -> None:
        metrics.SINK_EVENTS.inc(events - len(applied.refused))
        metrics.SINK_ROWS.inc(applied.rows_changed)
        metrics.SINK_DOUBLE_SENDS.inc(applied.double_sends)
        metrics.SINK_ERASED.inc(applied.erased)

    async def _write_prepared(self, connection: Connection, batch: Batch, prepared: PreparedBatch) -> Applied:
        """Write a batch in one transaction with the offsets. As `_write_others`, it publishes dead letters before."""
        result = Applied(refused=dict(prepared.folding.folded.refused))
        await self._letters.publish(batch.dead(result.refused), batch.records)
        mixed = prepared.mixed
        is_general = mixed is not None and mixed.messages is None  # its statements need the answers of others
        async with connection.transaction() if is_general else pipelined_transaction(connection):
            if mixed is not None:
                applied = await write_mixed(connection, mixed)
            else:
                applied = await write_usual(connection, prepared.part)
            await offsets.advance_offsets(connection, self._identity, batch.moves)
        result.add(applied, range(len(batch.events)))
        return result

    async def _write_others(
        self, connection: Connection, batch: Batch, refused: Mapping[int, DeadLetterReason]
    ) -> Applied:
        """Write all events but the refused ones in the general way, in one transaction with the offsets.

        The dead letters are published before: no row is locked while Kafka acknowledges them, and no offset moves
        before.
        """
        positions = [at for at in range(len(batch.events)) if at not in refused]
        others = [batch.events[at] for at in positions]
        folding = await fold_events(connection, others, self._numbers, batch.written_at) if others else FoldedEvents()
        result = Applied(
            refused={**refused, **{positions[at]: reason for at, reason in folding.folded.refused.items()}}
        )
        await self._letters.publish(batch.dead(result.refused), batch.records)
        async with connection.transaction():
            applied = await write_folded(connection, folding)
            await held_events.hold(connection, batch.held)
            await offsets.advance_offsets(connection, self._identity, batch.moves)
        result.add(applied, positions)
        return result

    async def _write_without_refused(self, connection: Connection, batch: Batch) -> Applied:
        """Find the events that cannot be applied, and apply the others in the transaction that moves the offsets.

        Rows must not contain events beyond the stored offsets: an audit would report them as differences, and a
        rebuild would remove them.
        """
        refused = await find_refused(connection, batch.events, self._numbers, batch.written_at)
        try:
            return await self._write_others(connection, batch, refused)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
        # Each half could be applied on its own, but not all of them together.
        result = await apply_by_halves(connection, batch.events, self._numbers, batch.written_at)
        await self._letters.publish(batch.dead(result.refused), batch.records)
        async with connection.transaction():
            await held_events.hold(connection, batch.held)
            await offsets.advance_offsets(connection, self._identity, batch.moves)
        return result
