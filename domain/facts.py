"""What is known of one recipient, and the one way in: `merge`.

Facts form a join-semilattice. Laws (held by Hypothesis in tests/properties/test_facts.py, and by the SQL merge):

- merge(a, a) == a;  merge(a, b) == merge(b, a);  merge(a, merge(b, c)) == merge(merge(a, b), c)
- merge(a, NOTHING) == a, and nothing that was known is ever forgotten (monotone)

So any order, duplication, batching or replay of the same events gives the same facts. Each rule is one of four:
the earliest time, the union of a bit set, the highest attempt, or the maximum of one ordered tuple or text. What the
facts mean together (status, when due) is `domain.status`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar, assert_never

from schemas.events import EventKind, Failure, Pricing, RecipientEvent, RetryClass

from domain.prices import price_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _earlier_first(at: datetime) -> int:
    """A number that is greater for the earlier time, exact to the microsecond."""
    return -((at - _EPOCH) // timedelta(microseconds=1))


HELD_BACK_CODE = 131049
"""Meta's cap for marketing messages to one person. It counts as no retry, also where no retry follows."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The acceptance that names the message: the newest attempt, with a wamid before without, the earlier first."""

    attempt: int
    at: datetime
    wamid: str | None

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """What `merge` maximises."""
        return (self.attempt, self.wamid is not None, _earlier_first(self.at), self.wamid or "")


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """The failure that is shown: one tuple, so that time, code and reason always belong together."""

    attempt: int
    at: datetime
    code: int | None
    text: str
    retry_class: RetryClass
    backoff_s: int

    @property
    def rank(self) -> tuple[int, bool, int, int, str, str, int]:
        """What `merge` maximises."""
        code = -1 if self.code is None else self.code
        return (
            self.attempt, self.code is not None, _earlier_first(self.at),
            code, self.text, self.retry_class.value, self.backoff_s,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wait:
    """A deferred or expired attempt and the time from which the row is due again."""

    attempt: int
    until: datetime

    @property
    def rank(self) -> tuple[int, datetime]:
        """What `merge` maximises."""
        return (self.attempt, self.until)


@dataclass(frozen=True, slots=True)
class Skip:
    """A skipped attempt and its reason code."""

    attempt: int
    reason: str

    @property
    def rank(self) -> tuple[int, str]:
        """What `merge` maximises."""
        return (self.attempt, self.reason)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything known of one recipient. `*_attempts` are bit sets: bit n stands for attempt n (1 to 62)."""

    attempt: int = 0
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    replied_at: datetime | None = None
    accepted_attempts: int = 0
    acceptance: Acceptance | None = None
    failed_attempts: int = 0
    held_back_attempts: int = 0
    failure: FailedAttempt | None = None
    deferred: Wait | None = None
    expired: Wait | None = None
    unknown_attempt: int = 0
    skipped: Skip | None = None
    retry_attempt: int = 0
    held_for_quality: bool = False
    price: str = ""
    """See `domain.prices`; empty: not known."""


NOTHING = Facts()

_Ranked = TypeVar("_Ranked", Acceptance, FailedAttempt, Wait, Skip)


def _earliest(a: datetime | None, b: datetime | None) -> datetime | None:
    if a is None or b is None:
        return b if a is None else a
    return min(a, b)


def _highest(a: _Ranked | None, b: _Ranked | None) -> _Ranked | None:
    if a is None or b is None:
        return b if a is None else a
    return a if a.rank >= b.rank else b


def merge(a: Facts, b: Facts) -> Facts:
    """The least facts that know all that `a` and `b` know."""
    return Facts(
        attempt=max(a.attempt, b.attempt),
        sent_at=_earliest(a.sent_at, b.sent_at),
        delivered_at=_earliest(a.delivered_at, b.delivered_at),
        read_at=_earliest(a.read_at, b.read_at),
        replied_at=_earliest(a.replied_at, b.replied_at),
        accepted_attempts=a.accepted_attempts | b.accepted_attempts,
        acceptance=_highest(a.acceptance, b.acceptance),
        failed_attempts=a.failed_attempts | b.failed_attempts,
        held_back_attempts=a.held_back_attempts | b.held_back_attempts,
        failure=_highest(a.failure, b.failure),
        deferred=_highest(a.deferred, b.deferred),
        expired=_highest(a.expired, b.expired),
        unknown_attempt=max(a.unknown_attempt, b.unknown_attempt),
        skipped=_highest(a.skipped, b.skipped),
        retry_attempt=max(a.retry_attempt, b.retry_attempt),
        held_for_quality=a.held_for_quality or b.held_for_quality,
        price=max(a.price, b.price),
    )


def _failed(attempt: int, at: datetime, failure: Failure) -> tuple[int, int, FailedAttempt]:
    """The two bit sets and the tuple of one failure."""
    bit = 1 << attempt
    is_held_back = failure.retry_class is RetryClass.HELD_BACK or failure.code == HELD_BACK_CODE
    held_back = bit if is_held_back else 0
    shown = FailedAttempt(attempt, at, failure.code, failure.reason, failure.retry_class, failure.backoff_s)
    return bit, held_back, shown


def facts_of(event: RecipientEvent, attempt: int) -> Facts:
    """The facts that one event states of `attempt` (the event's own, or the one its wamid belongs to)."""
    facts = _facts_of_kind(event, attempt)
    if event.pricing is None:
        return facts
    return replace(facts, price=price_of(attempt, event.pricing.type, event.pricing.category))


def _facts_of_kind(event: RecipientEvent, attempt: int) -> Facts:
    at, bit = event.occurred_at, 1 << attempt
    accepted = Acceptance(attempt, at, event.wamid)
    match event.kind:
        case EventKind.ACCEPTED:
            return Facts(
                attempt=attempt, sent_at=at, accepted_attempts=bit, acceptance=accepted,
                held_for_quality=event.held_for_quality,
            )  # fmt: skip
        case EventKind.ASSUMED_SENT | EventKind.SENT:
            return Facts(attempt=attempt, sent_at=at, accepted_attempts=bit, acceptance=accepted)
        case EventKind.DELIVERED:
            return Facts(attempt=attempt, sent_at=at, delivered_at=at, accepted_attempts=bit, acceptance=accepted)
        case EventKind.READ:
            return Facts(
                attempt=attempt, sent_at=at, delivered_at=at, read_at=at,
                accepted_attempts=bit, acceptance=accepted,
            )  # fmt: skip
        case EventKind.REPLIED:
            return Facts(attempt=attempt, replied_at=at)
        case EventKind.FAILED | EventKind.REJECTED:
            assert event.failure is not None, "the event's own validation requires it"
            failed, held_back, shown = _failed(attempt, at, event.failure)
            known = event.kind is EventKind.FAILED and event.wamid is not None
            return Facts(
                attempt=attempt, failed_attempts=failed, held_back_attempts=held_back, failure=shown,
                accepted_attempts=bit if known else 0, acceptance=accepted if known else None,
            )  # fmt: skip
        case EventKind.DEFERRED:
            assert event.not_before is not None, "the event's own validation requires it"
            return Facts(attempt=attempt, deferred=Wait(attempt, event.not_before))
        case EventKind.EXPIRED:
            assert event.not_before is not None, "the event's own validation requires it"
            return Facts(attempt=attempt, expired=Wait(attempt, event.not_before))
        case EventKind.UNKNOWN:
            return Facts(attempt=attempt, unknown_attempt=attempt)
        case EventKind.SKIPPED:
            return Facts(attempt=attempt, skipped=Skip(attempt, event.skip_reason or ""))
        case EventKind.RETRY:
            return Facts(attempt=attempt, retry_attempt=attempt)
        case _:
            assert_never(event.kind)


@dataclass(frozen=True, slots=True)
class PricedAt:
    """The first known price of a message: the earliest, ties by type and category."""

    at: datetime
    pricing: Pricing

    @property
    def rank(self) -> tuple[datetime, str, str]:
        """What the merge minimises."""
        return (self.at, self.pricing.type, self.pricing.category)


FACT_NAMES = tuple(field.name for field in fields(Facts))
