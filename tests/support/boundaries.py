"""Examples at each boundary of a rule that exists in Python and in SQL. The tests of both languages use these tables.

Generated histories rarely meet a boundary, so an error of one language at a boundary would remain unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

from domain.breakers import Breaker, Probe, ScopeSignal, Signal
from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import Status
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import Wamid
from tests.support.histories import CAMPAIGN, RECIPIENT, START

# ----------------------------------------------------------------------------------------------- status and due time

MAX_RETRIES = 3
"""The limit of a campaign that sets none."""
CREATED_AT = START - timedelta(days=2)
PLANNED_AT = START - timedelta(days=1)
WAIT_END = START + timedelta(hours=1)
LATER_END = START + timedelta(hours=2)
BACKOFF_S = 600


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of a row, and the status and the due time that they mean. None: it is never due by itself."""

    facts: Facts
    status: Status
    due_at: datetime | None
    max_retries: int = MAX_RETRIES


def event(kind: EventKind, attempt: int, **fields: Any) -> RecipientEvent:
    """One event at the start of the histories."""
    return RecipientEvent(
        kind=kind, campaign_id=CAMPAIGN, recipient_id=RECIPIENT, attempt=attempt, occurred_at=START, received_at=START,
        **fields,
    )  # fmt: skip


def accepted(attempt: int) -> RecipientEvent:
    return event(EventKind.ACCEPTED, attempt, wamid=Wamid(f"wamid.{attempt}"))


def failed(attempt: int, retry_class: RetryClass = RetryClass.BACKOFF, backoff_s: int = BACKOFF_S) -> RecipientEvent:
    code = 131049 if retry_class is RetryClass.HELD_BACK else 131000
    why = Failure(code=code, reason="x", retry_class=retry_class, backoff_s=backoff_s)
    return event(EventKind.FAILED, attempt, failure=why)


def held_back(attempt: int) -> RecipientEvent:
    return failed(attempt, RetryClass.HELD_BACK, 86_400)


def never(attempt: int) -> RecipientEvent:
    return failed(attempt, RetryClass.NEVER, 0)


def deferred(attempt: int, until: datetime = WAIT_END) -> RecipientEvent:
    return event(EventKind.DEFERRED, attempt, not_before=until)


def expired(attempt: int, until: datetime = WAIT_END) -> RecipientEvent:
    return event(EventKind.EXPIRED, attempt, not_before=until)


def unknown(attempt: int) -> RecipientEvent:
    return event(EventKind.UNKNOWN, attempt)


def skipped(attempt: int) -> RecipientEvent:
    return event(EventKind.SKIPPED, attempt, skip_reason="opted_out")


def retry(attempt: int) -> RecipientEvent:
    return event(EventKind.RETRY, attempt)


def after(*events: RecipientEvent, released: int = 0) -> Facts:
    """The facts of these events, and of the release of an attempt."""
    return reduce(merge, (facts_of(each, each.attempt or 0) for each in events), Facts(attempt=released))


AFTER_BACKOFF = START + timedelta(seconds=BACKOFF_S)
A_DAY_LATER = START + timedelta(days=1)
F, Q, U = Status.FAILED, Status.QUEUED, Status.UNKNOWN

ROWS: dict[str, Row] = {
    "planned": Row(NOTHING, Status.PENDING, PLANNED_AT),
    "released": Row(after(released=1), Q, None),
    "released for the last time": Row(after(released=62), Q, None),
    # Retries. The third failure is the last with three retries.
    "two failures": Row(after(failed(1), failed(2)), F, AFTER_BACKOFF),
    "three failures": Row(after(failed(1), failed(2), failed(3)), F, None),
    "four failures": Row(after(failed(1), failed(2), failed(3), failed(4)), F, None),
    "no retry": Row(after(failed(1)), F, None, max_retries=0),
    "one retry": Row(after(failed(1)), F, AFTER_BACKOFF, max_retries=2),
    "another attempt than the newest failed": Row(after(failed(1), released=2), Q, None),
    "a failure for good": Row(after(never(1)), F, None),
    "a failure without a pause": Row(after(failed(1, backoff_s=0)), F, START),
    # Rounds of a message that Meta held back. They are no retries, and the third is the last.
    "two rounds": Row(after(held_back(1), held_back(2)), F, A_DAY_LATER),
    "three rounds": Row(after(held_back(1), held_back(2), held_back(3)), F, None),
    "four rounds": Row(after(held_back(1), held_back(2), held_back(3), held_back(4)), F, None),
    "two rounds and two failures": Row(after(held_back(1), held_back(2), failed(3), failed(4)), F, AFTER_BACKOFF),
    "two failures and two rounds": Row(after(failed(1), failed(2), held_back(3), held_back(4)), F, A_DAY_LATER),
    "three failures and a round": Row(after(failed(1), failed(2), failed(3), held_back(4)), F, None),
    "three rounds and a failure": Row(after(held_back(1), held_back(2), held_back(3), failed(4)), F, AFTER_BACKOFF),
    "a round without a retry": Row(after(held_back(1)), F, None, max_retries=0),
    # The last attempt is the 62nd.
    "failure of attempt 61": Row(after(failed(61)), F, AFTER_BACKOFF),
    "failure of attempt 62": Row(after(failed(62)), F, None),
    "round 61": Row(after(held_back(61)), F, A_DAY_LATER),
    "round 62": Row(after(held_back(62)), F, None),
    "requested again after attempt 61": Row(after(never(61), retry(61)), F, CREATED_AT),
    "requested again after attempt 62": Row(after(never(62), retry(62)), F, None),
    "unknown 61, requested again": Row(after(unknown(61), retry(61)), U, CREATED_AT),
    "unknown 62, requested again": Row(after(unknown(62), retry(62)), U, None),
    "deferred 62": Row(after(deferred(62)), Q, WAIT_END),
    "accepted 62": Row(after(accepted(62)), Status.SENT, None),
    # Requests of an operator concern the newest attempt only.
    "unknown": Row(after(unknown(1)), U, None),
    "an older attempt requested again": Row(after(unknown(1), retry(1), unknown(2)), U, None),
    "requested again beyond the retries": Row(after(failed(1), failed(2), failed(3), retry(3)), F, CREATED_AT),
    # Waits.
    "deferred": Row(after(deferred(1)), Q, WAIT_END),
    "expired": Row(after(expired(1)), Q, WAIT_END),
    "deferred and later expired": Row(after(deferred(1), expired(1, LATER_END)), Q, WAIT_END),
    "expired and later deferred": Row(after(deferred(1, LATER_END), expired(1)), Q, LATER_END),
    "an older attempt deferred": Row(after(deferred(1), released=2), Q, None),
    "deferred and unknown": Row(after(deferred(1), unknown(1)), Q, WAIT_END),
    "expired and unknown": Row(after(expired(1), unknown(1)), Q, WAIT_END),
    "expired and skipped": Row(after(expired(1), skipped(1)), Q, WAIT_END),
    "skipped": Row(after(skipped(1)), Status.SKIPPED, None),
    "skipped and deferred": Row(after(skipped(1), deferred(1)), Q, WAIT_END),
    "skipped and unknown": Row(after(skipped(1), unknown(1)), U, None),
    # An acceptance counts until its own attempt fails.
    "accepted and failed": Row(after(accepted(1), failed(1)), F, AFTER_BACKOFF),
    "accepted, and another attempt failed": Row(after(accepted(1), failed(2)), Status.SENT, None),
    "an older attempt accepted": Row(after(accepted(1), released=2), Status.SENT, None),
}
"""By name. Both languages must give the status and the due time of each."""

# -------------------------------------------------------------------------------------------------------- breakers

OPENINGS: tuple[tuple[str, bool], ...] = (
    ("bbbb", False),
    ("bbbbb", True),
    ("bbbbgb", False),
    ("bbbbnb", True),
    ("ff", False),
    ("fff", True),
    ("ffgf", False),
    ("fbf", False),
    ("fbff", True),
    ("bg" * 9, False),
    ("bg" * 10, True),
    ("b" + "g" * 19 + "bg" * 9, False),
    ("b" + "g" * 18 + "bg" * 9, False),
    ("o", True),
    ("h", True),
    ("r" * 30, False),
    ("n" * 30, False),
)
"""The signals of a closed breaker, and whether they open it."""

STEPPED_AT = datetime(2026, 11, 26, tzinfo=UTC)
PROBE = Probe(UUID(int=1), 2, STEPPED_AT + timedelta(seconds=45))


def _recovering(closed_s_ago: float, pause_s: float) -> Breaker:
    return Breaker(pause_s=pause_s, closed_at=STEPPED_AT - timedelta(seconds=closed_s_ago))


def _probing(pause_s: float) -> Breaker:
    return Breaker(opened_at=STEPPED_AT, pause_s=pause_s, probe_at=STEPPED_AT, probe=PROBE)


_OPENS = ScopeSignal(Signal.OPEN, 7, "why")
_FAILS = ScopeSignal(Signal.BAD, 7, "why", is_probe=True)
_SAYS_NOTHING = ScopeSignal(Signal.NEUTRAL, 7, "why", is_probe=True)

PAUSES_OF_PROBES: tuple[tuple[Breaker, ScopeSignal, float], ...] = (
    (Breaker(), _OPENS, 5.0),
    (_recovering(59.999, 40.0), _OPENS, 80.0),
    (_recovering(60.0, 40.0), _OPENS, 5.0),
    (_recovering(0.0, 150.0), _OPENS, 300.0),
    (_recovering(0.0, 151.0), _OPENS, 300.0),
    (_recovering(0.0, 0.0), _OPENS, 5.0),
    (_probing(0.0), _FAILS, 5.0),
    (_probing(2.5), _FAILS, 5.0),
    (_probing(2.75), _FAILS, 5.5),
    (_probing(149.0), _FAILS, 298.0),
    (_probing(300.0), _FAILS, 300.0),
    (_probing(20.0), _SAYS_NOTHING, 20.0),
)
"""A breaker, a signal at `STEPPED_AT`, and the seconds until the next probe after it."""


@dataclass(frozen=True, slots=True)
class ProbeCase:
    """A breaker, and what it lets through. The times are seconds from now; None is a time that is not set."""

    is_open: bool
    probe_in_s: float | None
    """When the next probe may go out."""
    lease_in_s: float | None
    """When the lease of the probe ends. None: there is no probe."""
    permits: bool
    """Whether another message may become the probe now."""
    holds_others: bool
    holds_probe: bool
    """Whether the message is held that is the probe of `breaker`, or was before its outcome."""

    def breaker(self, now: datetime) -> Breaker:
        """The breaker at this time; its probe is attempt 1 of recipient 1."""
        return Breaker(
            opened_at=now - timedelta(hours=1) if self.is_open else None,
            probe_at=None if self.probe_in_s is None else now + timedelta(seconds=self.probe_in_s),
            probe=None if self.lease_in_s is None else Probe(UUID(int=1), 1, now + timedelta(seconds=self.lease_in_s)),
        )


PROBE_CASES: tuple[ProbeCase, ...] = (
    ProbeCase(False, None, None, permits=False, holds_others=False, holds_probe=False),
    ProbeCase(False, None, 60, permits=False, holds_others=False, holds_probe=False),
    ProbeCase(True, None, None, permits=False, holds_others=True, holds_probe=True),
    ProbeCase(True, 60, None, permits=False, holds_others=True, holds_probe=True),
    ProbeCase(True, -60, None, permits=True, holds_others=True, holds_probe=True),
    ProbeCase(True, -60, 60, permits=False, holds_others=True, holds_probe=False),
    ProbeCase(True, -60, -60, permits=True, holds_others=True, holds_probe=False),
    ProbeCase(True, 60, -60, permits=False, holds_others=True, holds_probe=False),
    ProbeCase(True, None, -60, permits=False, holds_others=True, holds_probe=False),
)
