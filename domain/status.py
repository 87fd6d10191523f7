"""The status, the due time, and the shown reason: pure functions of the facts, as ordered tables.

The same rules are SQL functions behind the generated columns, and tests hold both equal.
Because status is a function of facts that only grow, a late `failed` cannot hide a delivery, a late `sent` cannot
hide a `read`, and a webhook resolves an `unknown`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from schemas.events import RetryClass
from schemas.model import ATTEMPT_MAX

from domain.facts import Facts

HELD_BACK_ROUNDS_MAX = 3
"""How often 131049 may hold one recipient back before we stop (peers that retry longer are punished by Meta)."""


class Status(StrEnum):
    """The status of a recipient."""

    PENDING = "pending"
    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


def _waits(facts: Facts) -> bool:
    return any(wait is not None and wait.attempt == facts.attempt for wait in (facts.deferred, facts.expired))


STATUS_TABLE: tuple[tuple[Status, str, Callable[[Facts], bool]], ...] = (
    (Status.READ, "it was read", lambda f: f.read_at is not None),
    (Status.DELIVERED, "it was delivered", lambda f: f.delivered_at is not None),
    (Status.SENT, "an accepted attempt has not failed", lambda f: f.accepted_attempts & ~f.failed_attempts != 0),
    (Status.FAILED, "the newest attempt failed", lambda f: bool(f.failed_attempts & (1 << f.attempt))),
    (Status.PENDING, "nothing was ever released", lambda f: f.attempt == 0),
    (Status.QUEUED, "the newest attempt was deferred or expired, so it was surely not sent", _waits),
    (Status.UNKNOWN, "the outcome of the newest attempt is unknown", lambda f: f.unknown_attempt == f.attempt),
    (Status.SKIPPED, "the newest attempt was skipped",
     lambda f: f.skipped is not None and f.skipped.attempt == f.attempt),
    (Status.QUEUED, "the newest attempt is released and has no answer yet", lambda _: True),
)  # fmt: skip
"""The first line that holds decides. The last one always holds, so every row has a status."""


def status(facts: Facts) -> Status:
    """The status of these facts."""
    return next(word for word, _, holds in STATUS_TABLE if holds(facts))


def retry_count(facts: Facts) -> int:
    """Failed attempts that count against max_retries: all but those that 131049 held back."""
    return (facts.failed_attempts & ~facts.held_back_attempts).bit_count()


def failure_reason(facts: Facts) -> str | None:
    """The reason of the skip while skipped, else that of the failure."""
    if status(facts) is Status.SKIPPED:
        return facts.skipped.reason if facts.skipped else None
    return facts.failure.text if facts.failure else None


def next_attempt_at(
    facts: Facts, *, planned_at: datetime | None, created_at: datetime, max_retries: int
) -> datetime | None:
    """When the row may be released again; None: never automatically. `created_at` means at once."""
    match status(facts):
        case Status.PENDING:
            return planned_at
        case Status.QUEUED:
            return _end_of_wait(facts)
        case Status.UNKNOWN:
            is_requested = facts.retry_attempt == facts.attempt < ATTEMPT_MAX
            return created_at if is_requested else None
        case Status.FAILED:
            return _after_failure(facts, created_at, max_retries)
        case _:
            return None


def _end_of_wait(facts: Facts) -> datetime | None:
    for wait in (facts.deferred, facts.expired):
        if wait is not None and wait.attempt == facts.attempt:
            return wait.until
    return None


def _after_failure(facts: Facts, created_at: datetime, max_retries: int) -> datetime | None:
    failure = facts.failure
    if failure is None or facts.attempt >= ATTEMPT_MAX:
        return None
    if facts.retry_attempt == facts.attempt:
        return created_at
    if retry_count(facts) >= max_retries or failure.retry_class is RetryClass.NEVER:
        return None
    rounds = facts.held_back_attempts.bit_count()
    if failure.retry_class is RetryClass.HELD_BACK and rounds >= HELD_BACK_ROUNDS_MAX:
        return None
    return failure.at + timedelta(seconds=failure.backoff_s)
