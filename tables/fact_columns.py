"""Makes the columns of `merge_recipients` from facts: binary arrays, one for each fact, in the order of the ids.

Most facts of most recipients are unknown. A fact that no recipient of the batch has costs nothing, because its column
is an empty array, and the server reads NULL for each element that an array lacks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from domain.facts import Facts
from domain.usual_fold import UsualFacts
from schemas.model import RecipientId
from tables import binary_arrays as binary

_ENCODERS: dict[str, Callable[[Any], binary.BinaryArray]] = {
    "attempt": binary.smallints,
    "sent_at": binary.times,
    "delivered_at": binary.times,
    "read_at": binary.times,
    "replied_at": binary.times,
    "accepted_attempts": binary.bigints,
    "accepted_attempt": binary.smallints,
    "accepted_at": binary.times,
    "whatsapp_message_id": binary.texts,
    "failed_attempts": binary.bigints,
    "held_back_attempts": binary.bigints,
    "failed_attempt": binary.smallints,
    "failed_at": binary.times,
    "failure_code": binary.integers,
    "failure_text": binary.texts,
    "failure_class": binary.texts,
    "failure_backoff_s": binary.integers,
    "deferred_attempt": binary.smallints,
    "deferred_until": binary.times,
    "expired_attempt": binary.smallints,
    "expired_until": binary.times,
    "unknown_attempt": binary.smallints,
    "skipped_attempt": binary.smallints,
    "skip_reason": binary.texts,
    "retry_attempt": binary.smallints,
    "held_for_quality": binary.booleans,
    "price": binary.words,
}
COLUMNS = tuple(_ENCODERS)
"""The columns that hold facts, in the order of the rows below."""
_UNKNOWN = dict.fromkeys(("accepted_attempts", "failed_attempts", "held_back_attempts", "held_for_quality"), 0)
"""The value that states nothing; of the other columns it is None. False is a 0."""


def merge_parameters(learned: Mapping[RecipientId, Facts], usual: Iterable[UsualFacts] = ()) -> dict[str, Any]:
    """The parameters of `merge_recipients`, sorted by id. No recipient may be in both."""
    rows = [(recipient.bytes, _row(facts)) for recipient, facts in learned.items()]
    rows += [(each.id, _usual_row(each)) for each in usual]
    rows.sort(key=itemgetter(0))
    parameters: dict[str, Any] = {"id": binary.uuids([id_ for id_, _ in rows])}
    columns = zip(*(row for _, row in rows), strict=True) if rows else [()] * len(COLUMNS)
    for (name, encode), values in zip(_ENCODERS.items(), columns, strict=True):
        parameters[name] = encode(_without_unknown(values, _UNKNOWN.get(name)))
    return parameters


def _without_unknown(values: Sequence[Any], unknown: int | None) -> Sequence[Any]:
    return () if values.count(unknown) == len(values) else values


def _row(facts: Facts) -> tuple[Any, ...]:
    accepted, failure, skipped = facts.acceptance, facts.failure, facts.skipped
    deferred, expired = facts.deferred, facts.expired
    return (
        facts.attempt, facts.sent_at, facts.delivered_at, facts.read_at, facts.replied_at, facts.accepted_attempts,
        *((accepted.attempt, accepted.at, accepted.wamid) if accepted else (None, None, None)),
        facts.failed_attempts, facts.held_back_attempts,
        *((failure.attempt, failure.at, failure.code, failure.text, failure.retry_class.value, failure.backoff_s)
          if failure else (None, None, None, None, None, None)),
        *((deferred.attempt, deferred.until) if deferred else (None, None)),
        *((expired.attempt, expired.until) if expired else (None, None)),
        facts.unknown_attempt or None,
        *((skipped.attempt, skipped.reason) if skipped else (None, None)),
        facts.retry_attempt or None, facts.held_for_quality, facts.price or None,
    )  # fmt: skip


_NO_FAILURE = (0, 0) + (None,) * 14
"""The columns from `failed_attempts` to `retry_attempt`."""


def _usual_row(facts: UsualFacts) -> tuple[Any, ...]:
    """The row of facts_of_usual(facts), without the facts in between."""
    return (
        facts.attempt, facts.sent_at, facts.delivered_at, facts.read_at, None, facts.accepted_attempts,
        facts.attempt, facts.accepted_at, facts.wamid, *_NO_FAILURE, facts.held_for_quality,
        facts.price or None,
    )  # fmt: skip
