"""One batch of events into Postgres: the statements of a transaction, and what to do where the data is at fault.

Order inside the transaction: messages by wamid, then rows by id, so that sinks never wait for each other in a circle.
The caller owns connection and transaction, and moves the offsets in the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg
import structlog

from domain.fold import Fold, fold, merge_parked
from domain.parked import Message
from runtime.logs import mask_wamid
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.reasons import DeadLetterReason
from tables import messages, parked
from tables.database import Connection, is_data_error, is_transient
from tables.recipients import find_recipients, merge_facts

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Applied:
    """What became of a batch."""

    rows_changed: int = 0
    refused: dict[int, DeadLetterReason] = field(default_factory=dict)
    """Position in the batch to reason."""
    double_sends: int = 0
    foreign: int = 0
    parked_lost: int = 0
    """Parked statuses whose recipient turned out to have no row, or to be younger than they are."""

    def add(self, other: Applied, positions: Sequence[int]) -> None:
        """Add what became of a part, whose events stood at `positions`."""
        self.rows_changed += other.rows_changed
        self.double_sends += other.double_sends
        self.foreign += other.foreign
        self.parked_lost += other.parked_lost
        self.refused.update({positions[index]: reason for index, reason in other.refused.items()})


class KnownPhoneNumbers:
    """The phone number ids known to be ours; one that is not is asked for again, because a campaign may be new."""

    def __init__(self) -> None:
        self._ours: set[str] = set()

    async def foreign_among(self, connection: Connection, events: Sequence[RecipientEvent]) -> set[str]:
        """The numbers of statuses without a recipient that no campaign of ours uses."""
        asked = {e.phone_number_id for e in events if e.recipient_id is None and e.phone_number_id is not None}
        doubtful = asked - self._ours
        if doubtful:
            self._ours |= await parked.find_our_numbers(connection, doubtful)
        return doubtful - self._ours


class CodeRaised(Exception):
    """Our own code raised over these events: a bug that some of them bring out, and that a fresh process repeats."""


def is_caused_by_events(error: BaseException) -> bool:
    """Whether it is some of the events that cannot be applied: they are to be found and set aside."""
    return is_data_error(error) or isinstance(error, CodeRaised)


async def apply_events(connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers) -> Applied:
    """Apply events inside the caller's transaction; nothing is half applied when it raises.

    Raises psycopg.Error, and CodeRaised for what neither Postgres nor the network has raised.
    """
    try:
        return await _apply(connection, events, numbers) if events else Applied()
    except Exception as error:
        if isinstance(error, psycopg.Error) or is_transient(error) or is_data_error(error):
            raise
        raise CodeRaised(f"{len(events)} events: {type(error).__name__}") from error


async def _apply(connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers) -> Applied:
    foreign = await numbers.foreign_among(connection, events)
    ids = {event.recipient_id for event in events if event.recipient_id is not None}
    folded = fold(events, await find_recipients(connection, ids) if ids else {}, foreign)
    changed = await messages.merge_messages(connection, folded.messages)
    lost = await _tell_parked(connection, folded, changed)
    rows = await merge_facts(connection, folded.facts)
    doubles = await messages.record_double_sends(connection, changed)
    if folded.foreign:
        await parked.count_foreign(connection, folded.foreign)
    _alarm(doubles, lost)
    return Applied(rows, folded.refused, len(doubles), folded.foreign.total(), len(lost))


async def find_refused(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers
) -> dict[int, DeadLetterReason]:
    """Which events of a batch that cannot be applied are at fault: tried by halves, and nothing of it is kept.

    So the others can be applied in one transaction with the position of the batch: rows never know more than it says.
    """
    refused: dict[int, DeadLetterReason] = {}
    parts: list[list[int]] = [list(range(len(events)))]
    while parts:
        positions = parts.pop()
        try:
            async with connection.transaction(force_rollback=True):
                await apply_events(connection, [events[at] for at in positions], numbers)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
            if len(positions) == 1:
                refused[positions[0]] = _refusal(error)
                continue
            middle = len(positions) // 2
            parts += [positions[middle:], positions[:middle]]
    return refused


async def apply_by_halves(
    connection: Connection, events: Sequence[RecipientEvent], numbers: KnownPhoneNumbers
) -> Applied:
    """Apply a batch that holds what the database refuses, or what makes our code raise: it ends alone and is refused.

    Each part is a transaction of its own: applying again is harmless, and rows stay locked in order.
    """
    result = Applied()
    parts: list[list[int]] = [list(range(len(events)))]
    while parts:
        positions = parts.pop()
        try:
            async with connection.transaction():
                applied = await apply_events(connection, [events[at] for at in positions], numbers)
        except Exception as error:
            if not is_caused_by_events(error):
                raise
            if len(positions) == 1:
                result.refused[positions[0]] = _refusal(error)
                continue
            middle = len(positions) // 2
            parts += [positions[middle:], positions[:middle]]
        else:
            result.add(applied, positions)
    return result


def _refusal(error: Exception) -> DeadLetterReason:
    if isinstance(error, CodeRaised):
        log.error("set aside what makes our code raise", exc_info=error)
        return DeadLetterReason.BUG
    return DeadLetterReason.REFUSED_BY_DATABASE


async def _tell_parked(connection: Connection, folded: Fold, changed: Sequence[Message]) -> list[Message]:
    told = [message for message in changed if message.parked is not None]
    ids: set[RecipientId] = {message.recipient_id for message in told if message.recipient_id is not None}
    if not ids:
        return []
    missing = ids - folded.created_at.keys()
    found = await find_recipients(connection, missing) if missing else {}
    return merge_parked(folded, told, {**folded.created_at, **found})


def _alarm(doubles: Sequence[tuple[RecipientId, int, str]], lost: Sequence[Message]) -> None:
    for recipient, attempt, wamid in doubles:
        log.error("double send", recipient_id=str(recipient), attempt=attempt, wamid=mask_wamid(wamid))
    for message in lost:
        log.error("parked statuses refused", recipient_id=str(message.recipient_id), wamid=mask_wamid(message.wamid))
