"""The messages table: per wamid its attempt, its price, and the statuses that came without our callback data.

The event that names the recipient of a wamid, and a status that arrives without a recipient, upsert the same row. So
whichever transaction commits second sees the other's values. The statement returns every row that it changed. If the
recipient of such a row is known, the facts parked in it are returned as facts of that recipient's attempt.
Callers own the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.facts import Acceptance, Facts, FailedAttempt
from domain.parked import PARKED_ATTEMPT, Learned, Message, as_attempt, stated_at
from domain.usual_fold import UsualMessage
from schemas.events import RetryClass
from schemas.model import RecipientId
from tables import binary_arrays as binary
from tables.arrays import plain, text, times
from tables.database import Connection, Cursor
from tables.statements import load

_SQL = load("messages")
_NO_PRICE = (None, None, None)


async def merge_messages(connection: Connection, learned: Mapping[str, Learned]) -> list[Message]:
    """Merge what a batch learned per wamid; returns the rows that changed."""
    if not learned:
        return []
    cursor = await connection.execute(_SQL["merge_messages"], _parameters(learned), prepare=True, binary=True)
    return [_message(row) for row in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class ChangedAttempts:
    """The attempts of the messages that usual events changed, as two columns. They are for the server alone."""

    recipients: binary.UuidArray
    attempts: binary.SmallintArray
    has_parked: bool
    """Whether one of these messages has parked statuses, which then have to be merged too."""


def usual_columns(learned: Mapping[str, UsualMessage]) -> dict[str, binary.BinaryArray]:
    """What usual events state per wamid, as the columns of `merge_usual`."""
    wamids = sorted(learned)
    values = [learned[wamid] for wamid in wamids]
    prices = [value.priced or _NO_PRICE for value in values]
    priced_at, types, categories = zip(*prices, strict=True) if prices else ((), (), ())
    return {
        "wamid": binary.texts(wamids),
        "recipient_id": binary.uuids([value.recipient for value in values]),
        "attempt": binary.smallints([value.attempt for value in values]),
        "phone_number_id": binary.words([value.phone_number_id for value in values]),
        "pricing_at": binary.times(priced_at),
        "pricing_type": binary.words(types),
        "pricing_category": binary.words(categories),
    }


async def merge_usual(connection: Connection, columns: Mapping[str, binary.BinaryArray]) -> Cursor:
    """Merge what usual events state per wamid, as `merge_messages` does. `changed_attempts` reads the answer."""
    return await connection.execute(_SQL["merge_usual"], columns, prepare=True, binary=True)


def changed_attempts(merged: Cursor) -> ChangedAttempts | None:
    """What `merge_usual` changed, once it is answered. None: no row changed."""
    answer = merged.pgresult
    assert answer is not None, "the statement returns one row"
    recipients, attempts, has_parked = (answer.get_value(0, column) for column in range(3))
    if recipients is None or attempts is None:
        return None
    return ChangedAttempts(binary.UuidArray(recipients), binary.SmallintArray(attempts), has_parked == b"\1")


async def record_usual_double_sends(
    connection: Connection, changed: ChangedAttempts
) -> list[tuple[RecipientId, int, str]]:
    """As `record_double_sends`."""
    values = {"recipient_id": changed.recipients, "attempt": changed.attempts}
    cursor = await connection.execute(_SQL["find_double_sends"], values, prepare=True)
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def address_known(connection: Connection, changed: Sequence[Message]) -> list[Message]:
    """The changed messages; those that retention had deleted with their recipient, and their facts as facts of it.

    Call it after `merge_messages`, in its transaction.
    """
    parked = [message.wamid for message in changed if message.recipient_id is None]
    if not parked:
        return list(changed)
    cursor = await connection.execute(_SQL["address_known"], {"wamids": parked}, prepare=True, binary=True)
    known = {message.wamid: message for message in map(_message, await cursor.fetchall())}
    return [known.get(message.wamid, message) for message in changed]


async def record_double_sends(
    connection: Connection, messages: Sequence[Message]
) -> list[tuple[RecipientId, int, str]]:
    """Record the wamids of every attempt that has more than one; returns the new ones.

    Call it after the merge of the recipients: two sinks that learn the two wamids at the same time then meet at the
    recipient's row, and the second one sees both.
    """
    claimed = {(m.recipient_id, m.attempt) for m in messages if m.recipient_id and m.attempt}
    if not claimed:
        return []
    ids, attempts = zip(*claimed, strict=True)
    values = {"recipient_id": plain(ids), "attempt": plain(attempts)}
    cursor = await connection.execute(_SQL["find_double_sends"], values, prepare=True)
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


def _parameters(learned: Mapping[str, Learned]) -> dict[str, Any]:
    wamids = sorted(learned)
    values = [learned[wamid] for wamid in wamids]
    parked = [value.parked for value in values]
    failures = [facts.failure for facts in parked]
    prices = [value.priced for value in values]
    return {
        "wamid": wamids,
        "recipient_id": plain(value.recipient_id for value in values),
        "attempt": plain(value.attempt for value in values),
        "phone_number_id": text(value.phone_number_id for value in values),
        "accepted_at": times(stated_at(facts.acceptance) for facts in parked),
        "sent_at": times(facts.sent_at for facts in parked),
        "delivered_at": times(facts.delivered_at for facts in parked),
        "read_at": times(facts.read_at for facts in parked),
        "replied_at": times(facts.replied_at for facts in parked),
        "failed_at": times(stated_at(failure) for failure in failures),
        "failure_code": plain(None if failure is None else failure.code for failure in failures),
        "failure_text": text(None if failure is None else failure.text for failure in failures),
        "failure_class": text(None if failure is None else failure.retry_class.value for failure in failures),
        "failure_backoff_s": plain(None if failure is None else failure.backoff_s for failure in failures),
        "held_back": plain(facts.held_back_attempts != 0 for facts in parked),
        "price": text(facts.price or None for facts in parked),
        "pricing_at": times(stated_at(price) for price in prices),
        "pricing_type": text(None if price is None else price.pricing.type for price in prices),
        "pricing_category": text(None if price is None else price.pricing.category for price in prices),
    }


def _message(row: Sequence[Any]) -> Message:
    wamid, recipient_id, attempt, *parked = row
    if recipient_id is None or not any(parked[:6]):
        return Message(wamid, recipient_id, attempt, None)
    return Message(wamid, recipient_id, attempt, as_attempt(_parked_facts(wamid, parked), attempt))


def _parked_facts(wamid: str, parked: Sequence[Any]) -> Facts:
    """The parked columns of a row as facts of PARKED_ATTEMPT."""
    (accepted_at, sent_at, delivered_at, read_at, replied_at, failed_at, code, reason, word, backoff_s, held,
     price) = parked  # fmt: skip
    bit = 1 << PARKED_ATTEMPT
    facts = Facts(
        attempt=PARKED_ATTEMPT, sent_at=sent_at, delivered_at=delivered_at, read_at=read_at, replied_at=replied_at,
        price=price or "",
    )  # fmt: skip
    if accepted_at is not None:
        acceptance = Acceptance(PARKED_ATTEMPT, accepted_at, wamid)
        facts = replace(facts, accepted_attempts=bit, acceptance=acceptance)
    if failed_at is not None:
        failure = FailedAttempt(PARKED_ATTEMPT, failed_at, code, reason, RetryClass(word), backoff_s)
        facts = replace(facts, failed_attempts=bit, held_back_attempts=bit if held else 0, failure=failure)
    return facts
