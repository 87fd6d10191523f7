"""Applies one batch of events to Postgres, and finds the events that cannot be applied.

Every transaction locks in the same order: messages by wamid, then recipients by id. Two sinks therefore cannot
deadlock. The caller owns connection and transaction, and moves the offsets in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg
import structlog

from domain.fold import Fold, fold, merge_parked
from domain.parked import Message
from runtime.logs import mask_wamid
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.places import EPOCH
from schemas.reasons import DeadLetterReason
from tables import messages, parked, person_links
from tables.database import Connection, is_data_error, is_transient
from tables.recipients import find_recipients, merge_facts

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Applied:
    """The result of a batch."""

    rows_changed: int = 0
    refused: dict[int, DeadLetterReason] = field(default_factory=dict)
    """Reason by position in the batch."""
    double_sends: int = 0
    foreign: int = 0
    erased: int = 0
    """Statuses of our own messages whose recipient was deleted."""
    parked_lost: int = 0
    """Messages whose parked statuses were refused: the recipient has no row, or its campaign is younger."""

    def add(self, other: Applied, positions: Sequence[int]) -> None:
        """Add the result of a part; `positions` are the positions of its events in the batch."""
        self.rows_changed += other.rows_changed
        self.double_sends += other.double_sends
        self.foreign += other.foreign
        self.erased += other.erased
        self.parked_lost += other.parked_lost
        self.refused.update({positions[index]: reason for index, reason in other.refused.items()})


class KnownPhoneNumbers:
    """Caches the phone number ids of our campaigns. An unknown id is queried each time: its campaign may be new."""

    def __init__(self) -> None:
        self._ours: set[str] = set()

    async def foreign_among(self, connection: Connection, events: Sequence[RecipientEvent]) -> set[str]:
        """The phone number ids, among events without a recipient, that belong to no campaign."""
        mentioned = {e.phone_number_id for e in events if e.recipient_id is None and e.phone_number_id is not None}
        uncertain = mentioned - self._ours
        if uncertain:
            self._ours |= await parked.find_our_numbers(connection, uncertain)
        return uncertain - self._ours


class Unusual(Exception):
    """The batch has to be written in the general way. What was written of it is rolled back."""


class CodeRaised(Exception):
    """Our own code raised while it applied these events. A restarted process would raise the same."""


def is_caused_by_events(error: BaseException) -> bool:
    """Whether the events, not the infrastructure, made the batch fail. They can be found and dead-lettered."""
    return is_data_error(error) or isinstance(error, CodeRaised)


@contextmanager
def naming_our_own_errors(count: int) -> Iterator[None]:
    """Raise CodeRaised for every error that neither Postgres nor the network caused."""
    try:
        yield
    except Exception as error:
        if isinstance(error, psycopg.Error | Unusual) or is_transient(error) or is_data_error(error):
            raise
        raise CodeRaised(f"{count} events: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class FoldedEvents:
    """A batch that is folded and not written yet."""

    folded: Fold = field(default_factory=Fold)
    links: Sequence[tuple[RecipientId, str]] = ()
    """Recipients and the further keys that their answers or statuses name."""


async def fold_events(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers, written_at: datetime = EPOCH
) -> FoldedEvents:
    """Fold a batch in memory. It reads and locks nothing, so the caller needs no transaction.

    `written_at`: the time of their newest record. Raises psycopg.Error and CodeRaised.
    """
    if not events:
        return FoldedEvents()
    with naming_our_own_errors(len(events)):
        foreign = await numbers.foreign_among(connection, events)
        ids = {event.recipient_id for event in events if event.recipient_id is not None}
        created_at = await find_recipients(connection, ids) if ids else {}
        folded = fold(events, created_at, foreign, max(written_at, datetime.now(UTC)))
        links = [
            (event.recipient_id, key)
            for at, event in enumerate(events)
            if event.recipient_id is not None and at not in folded.refused
            for key in event.also_known_as or ()
        ]
        return FoldedEvents(folded, links)


async def write_folded(connection: Connection, batch: FoldedEvents) -> Applied:
    """Write folded events inside the caller's transaction. Raises psycopg.Error and CodeRaised."""
    folded = batch.folded
    with naming_our_own_errors(len(folded.facts)):
        changed = await messages.address_known(connection, await messages.merge_messages(connection, folded.messages))
        lost = await _merge_parked(connection, folded, changed)
        rows = await merge_facts(connection, folded.facts)
        doubles = await messages.record_double_sends(connection, changed)
        await write_beside(connection, batch)
        alarm(doubles, lost)
    return Applied(rows, folded.refused, len(doubles), folded.foreign.total(), folded.erased, len(lost))


async def write_beside(connection: Connection, batch: FoldedEvents) -> None:
    """Write what folded events state beside messages and rows: links of people, and counts of foreign statuses."""
    if batch.links:
        await person_links.link_people(connection, batch.links)
    if batch.folded.foreign:
        await parked.count_foreign(connection, batch.folded.foreign)


async def apply_events(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers, written_at: datetime = EPOCH
) -> Applied:
    """Fold and write events inside the caller's transaction. Raises psycopg.Error and CodeRaised."""
    return await write_folded(connection, await fold_events(connection, events, numbers, written_at))


async def find_refused(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers, written_at: datetime = EPOCH
) -> dict[int, DeadLetterReason]:
    """Find the events of a batch that cannot be applied; every transaction is rolled back.

    The caller then applies the others in one transaction together with the offsets of the batch, so the rows never
    contain an event that the offsets do not cover.
    """
    return (await _bisect(connection, events, numbers, written_at, keep=False)).refused


async def apply_by_halves(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers, written_at: datetime = EPOCH
) -> Applied:
    """Apply the events of a batch that can be applied, and refuse the others.

    Each part is a transaction of its own. That is safe because applying an event again changes nothing.
    """
    return await _bisect(connection, events, numbers, written_at, keep=True)


async def apply_batch(connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers) -> Applied:
    """Apply a batch in one transaction or, if events in it cannot be applied, by halves. Moves no offsets."""
    try:
        async with connection.transaction():
            return await apply_events(connection, events, numbers)
    except Exception as error:
        if not is_caused_by_events(error):
            raise
    return await apply_by_halves(connection, events, numbers)


async def _bisect(
    connection: Connection,
    events: Sequence[RecipientEvent],
    numbers: KnownPhoneNumbers,
    written_at: datetime,
    *,
    keep: bool,
) -> Applied:
    """Apply a batch in parts, halving each part that fails, until a failing part is a single event: it is refused.

    `keep` commits the parts that succeed; otherwise they are rolled back, and only the refused events are returned.
    """
    result = Applied()
    parts: list[list[int]] = [list(range(len(events)))]
    while parts:
        positions = parts.pop()
        try:
            async with connection.transaction(force_rollback=not keep):
                applied = await apply_events(connection, [events[at] for at in positions], numbers, written_at)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
            if len(positions) == 1:
                result.refused[positions[0]] = _refusal(error)
                continue
            middle = len(positions) // 2
            parts += [positions[middle:], positions[:middle]]
        else:
            if keep:
                result.add(applied, positions)
    return result


def _refusal(error: Exception) -> DeadLetterReason:
    if isinstance(error, CodeRaised):
        log.error("unhandled exception while applying an event: dead-lettered with reason `bug`", exc_info=error)
        return DeadLetterReason.BUG
    return DeadLetterReason.REFUSED_BY_DATABASE


async def _merge_parked(connection: Connection, folded: Fold, changed: Sequence[Message]) -> list[Message]:
    """Merge the statuses parked for wamids that are known now; returns the messages whose statuses are refused."""
    learned = [message for message in changed if message.parked is not None]
    ids: set[RecipientId] = {message.recipient_id for message in learned if message.recipient_id is not None}
    if not ids:
        return []
    missing = ids - folded.created_at.keys()
    found = await find_recipients(connection, missing) if missing else {}
    return merge_parked(folded, learned, {**folded.created_at, **found})


def alarm(doubles: Sequence[tuple[RecipientId, int, str]], lost: Sequence[Message]) -> None:
    """Log each double send and each parked status that is lost: an operator must see them."""
    for recipient, attempt, wamid in doubles:
        log.error("double send", recipient_id=str(recipient), attempt=attempt, wamid=mask_wamid(wamid))
    for message in lost:
        log.error("parked statuses refused", recipient_id=str(message.recipient_id), wamid=mask_wamid(message.wamid))
