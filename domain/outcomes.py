"""What an answer, or its absence, proves about one POST to the Cloud API: five outcomes. Pure.

There is no idempotency key, so the question is always: could it have been sent? Unless the answer proves
the contrary, the outcome is unknown, and an unknown attempt is never repeated automatically.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson
from schemas.reasons import TransportError, UnclearAnswer

from domain.error_codes import RETRYABLE, TABLE, ErrorClass, ThrottleScope, error_class

RETRY_AFTER_MAX_S = 3600.0
"""A longer hint comes from an incorrect clock; the row is deferred long before."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """HTTP 200. The wamid may be missing; `held`: Meta holds it for its quality assessment."""

    wamid: str | None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """An error that proves that nothing was sent."""

    code: int | None
    reason: str
    transient_hint: bool = False


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too fast. It was surely not sent, so the same message may be posted again."""

    scope: ThrottleScope
    code: int | None
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class UnknownOutcome:
    """It may have been sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """It surely never reached Meta: no connection, no permit."""

    reason: str


Outcome: TypeAlias = Accepted | Rejected | Throttled | UnknownOutcome | NotSent


SURELY_NOT_SENT = frozenset({TransportError.CONNECT, TransportError.POOL, TransportError.UNUSABLE})


def outcome_of_error(error: TransportError) -> Outcome:
    """The outcome of a request without an answer."""
    return NotSent(error.value) if error in SURELY_NOT_SENT else UnknownOutcome(error.value)


def outcome_of_answer(status: int, body: bytes, retry_after: str | None = None) -> Outcome:
    """The outcome of an HTTP answer. It branches on Meta's code, and on the HTTP status only without a usable code."""
    answer = _json_object(body)
    if status == 200:
        return _accepted(answer)
    error = _error(answer)
    code = error.code if error else None
    kind = error_class(code) if code in TABLE else None
    if status == 429 or kind is ErrorClass.THROTTLE:
        row = TABLE.get(code) if code is not None else None
        throttles = row is not None and row.error_class is ErrorClass.THROTTLE
        scope = row.scope if row is not None and throttles else ThrottleScope.NUMBER
        return Throttled(scope, code, _seconds(retry_after))
    if error is None or (status >= 500 and kind not in RETRYABLE):
        return UnknownOutcome(f"http_{status}" if code is None else f"http_{status}_code_{code}")
    if status >= 400 or kind in RETRYABLE:
        return Rejected(error.code, error.reason, error.transient_hint)
    return UnknownOutcome(f"http_{status}")


@dataclass(frozen=True, slots=True)
class _Error:
    code: int | None
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
        return UnknownOutcome(UnclearAnswer.UNPARSABLE.value)
    if "error" in answer:
        return UnknownOutcome(UnclearAnswer.ERROR_IN_200.value)
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if not isinstance(first, dict):
        return Accepted(None)
    wamid = first.get("id")
    held = first.get("message_status") in ("held_for_quality_assessment", "paused")
    return Accepted(wamid if isinstance(wamid, str) and 0 < len(wamid) <= 512 else None, held)


def _error(answer: Mapping[str, Any] | None) -> _Error | None:
    error = answer.get("error") if answer else None
    if not isinstance(error, dict):
        return None
    code = error.get("code")
    code = int(code) if isinstance(code, str) and code.isdecimal() else code
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else data
    parts = [part for part in (error.get("message"), details) if isinstance(part, str) and part]
    known = code if isinstance(code, int) and not isinstance(code, bool) else None
    return _Error(known, ": ".join(parts)[:2000] or "no reason given", error.get("is_transient") is True)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header. Its date form and invalid values count as none."""
    try:
        seconds = float(retry_after) if retry_after is not None else None
    except ValueError:
        return None
    return min(seconds, RETRY_AFTER_MAX_S) if seconds is not None and seconds >= 0 else None
