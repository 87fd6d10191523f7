"""What an answer, or its absence, proves about one POST to the Cloud API: five outcomes. Pure.

There is no idempotency key, so the question is always: could it have been sent? Unless the answer proves
the contrary, the outcome is unknown, and an unknown attempt is never repeated automatically.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson
from schemas.events import CODE_MAX
from schemas.reasons import TransportError, UnclearAnswer

from domain.error_codes import RETRYABLE, ErrorClass, ThrottleScope, row_of
from domain.people import PersonKey, keys_named

CODE_DIGITS_MAX = 10
REASON_CHARS_MAX = 2000
WAMID_CHARS_MAX = 512
RETRY_AFTER_MAX_S = 3600.0
"""A longer hint comes from an incorrect clock; the row is deferred long before."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """HTTP 200 with Meta's `messages`. The wamid may be missing; `held`: Meta holds it for its quality assessment."""

    wamid: str | None
    held: bool = False
    names: tuple[PersonKey, ...] = field(default=(), repr=False)
    """The keys of the person that the answer names: `wa_id` and user ids."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An error that proves that nothing was sent."""

    code: int | None
    reason: str
    transient_hint: bool = False
    subcode: int | None = None


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast. It was surely not sent, so the same message may be posted again."""

    scope: ThrottleScope
    code: int | None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """It may have been sent. `is_foreign`: an answer came, and it is not of the form that the Cloud API gives."""

    reason: str
    code: int | None = None
    subcode: int | None = None
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """It surely never reached Meta: the post failed before its first byte."""

    reason: str
    is_endpoint: bool = True
    """Whether the endpoint may be at fault: not where our own connections were all in use."""


Outcome: TypeAlias = Accepted | Rejected | Throttled | UnknownOutcome | NotSent


UNANSWERED = frozenset({TransportError.TIMEOUT, TransportError.DISCONNECT, TransportError.CLIENT})
SURELY_NOT_SENT = frozenset({TransportError.CONNECT, TransportError.POOL, TransportError.UNUSABLE})


def outcome_of_error(error: TransportError) -> Outcome:
    """The outcome of a request without an answer."""
    if error in SURELY_NOT_SENT:
        return NotSent(error.value, is_endpoint=error is not TransportError.POOL)
    return UnknownOutcome(error.value, is_foreign=error is TransportError.TOO_LARGE)


def has_answer(outcome: Outcome) -> bool:
    """Whether the server answered at all, rightly or not."""
    if isinstance(outcome, UnknownOutcome):
        return outcome.reason not in UNANSWERED
    return not isinstance(outcome, NotSent)


def outcome_of_answer(status: int, body: bytes, retry_after: str | None = None) -> Outcome:
    """The outcome of an HTTP answer. It branches on Meta's code, and on the HTTP status only without a usable code."""
    answer = _json_object(body)
    if status == 200:
        return _accepted(answer)
    error = _error(answer)
    row = row_of(error.code, error.subcode) if error else None
    kind = row.error_class if row else None
    if status == 429 or kind is ErrorClass.THROTTLE:
        scope = row.scope if row else ThrottleScope.NUMBER
        return Throttled(scope, error.code if error else None, _seconds(retry_after))
    if error is None:
        return UnknownOutcome(f"http_{status}", is_foreign=True)
    if 400 <= status < 500 or kind in RETRYABLE:
        return Rejected(error.code, error.reason, error.transient_hint, error.subcode)
    reason = f"http_{status}" if error.code is None else f"http_{status}_code_{error.code}"
    return UnknownOutcome(reason, error.code, error.subcode)


@dataclass(frozen=True, slots=True)
class _Error:
    code: int | None
    subcode: int | None
    reason: str
    transient_hint: bool


def _json_object(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer if isinstance(answer, dict) else None


def _accepted(answer: Mapping[str, Any] | None) -> Outcome:
    if answer is None:
        return UnknownOutcome(UnclearAnswer.UNPARSABLE.value, is_foreign=True)
    if "error" in answer:
        error = _error(answer)
        if error is None:
            return UnknownOutcome(UnclearAnswer.ERROR_IN_200.value, is_foreign=True)
        return UnknownOutcome(UnclearAnswer.ERROR_IN_200.value, error.code, error.subcode)
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if not isinstance(first, dict):
        return UnknownOutcome(UnclearAnswer.NO_MESSAGES.value, is_foreign=True)
    wamid = first.get("id")
    wamid = wamid.replace("\0", "") if isinstance(wamid, str) else ""
    held = first.get("message_status") in ("held_for_quality_assessment", "paused")
    return Accepted(wamid if 0 < len(wamid) <= WAMID_CHARS_MAX else None, held, _names(answer))


def _names(answer: Mapping[str, Any]) -> tuple[PersonKey, ...]:
    """The keys of the person that got the message; none without a usable name, or with several people."""
    contacts = answer.get("contacts")
    contact = contacts[0] if isinstance(contacts, list) and len(contacts) == 1 else None
    if not isinstance(contact, dict):
        return ()
    return keys_named(contact.get("wa_id"), (contact.get("user_id"), contact.get("parent_user_id")))


def _error(answer: Mapping[str, Any] | None) -> _Error | None:
    error = answer.get("error") if answer else None
    if not isinstance(error, dict):
        return None
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else data
    parts = [part for part in (error.get("message"), details) if isinstance(part, str) and part]
    reason = ": ".join(parts).replace("\0", "")[:REASON_CHARS_MAX] or "no reason given"  # Postgres stores no NUL
    return _Error(
        _number(error.get("code")), _number(error.get("error_subcode")), reason, error.get("is_transient") is True
    )


def _number(value: object) -> int | None:
    """A code or subcode, also where it came as text. One that the database cannot store counts as none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= CODE_DIGITS_MAX:
        value = int(value)
    is_code = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= CODE_MAX
    return value if is_code and isinstance(value, int) else None


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header. Its date form and invalid values count as none."""
    try:
        seconds = float(retry_after) if retry_after is not None else None
    except ValueError:
        return None
    return min(seconds, RETRY_AFTER_MAX_S) if seconds is not None and seconds >= 0 else None
