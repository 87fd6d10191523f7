"""A model of releases, the ledger and the budget in Postgres. The methods have the names of the SQL functions.

tests/properties/test_pipeline_model_sql.py compares the methods with the SQL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.breakers import (
    CLOSED,
    Breaker,
    Probe,
    ProbePauses,
    ScopeSignal,
    Signal,
    holds,
    permits_probe,
    reset,
    step,
)
from domain.status import Status
from schemas.events import EventKind, RecipientEvent
from tests.properties.pipeline.rows import CAMPAIGN, Key, Row, Rows

NOT_SENT = ("deferred", "expired", "skipped")
STOPPED = {"paused": "deferred", "breaker_open": "deferred", "campaign_cancelled": "skipped", "opted_out": "skipped"}
"""The outcome of a refused renewal, by reason. For every other reason it is expired."""


SKIPPED = {"campaign_cancelled": "skipped", "opted_out": "skipped"}
CODE, REASON = 190, "code 190"
PAUSES = ProbePauses()


@dataclass(slots=True)
class Release:
    """A release that is neither claimed nor refused yet."""

    send_before: datetime
    released_at: datetime
    published_at: datetime | None = None
    publish_count: int = 0
    offset: int = -1


@dataclass(slots=True)
class LedgerRow:
    """A claim or a refusal, its outcome, and its event in the outbox."""

    token: UUID
    send_before: datetime
    lease_until: datetime
    outcome: str | None = None
    outcome_at: datetime | None = None
    event: RecipientEvent | None = None
    is_published: bool = False


@dataclass(slots=True)
class Ledger(Rows):
    """Claims, refusals, and the budget."""

    releases: dict[Key, Release] = field(default_factory=dict)
    ledger: dict[Key, LedgerRow] = field(default_factory=dict)
    used: int = 0
    charged: set[Key] = field(default_factory=set)
    returned: Counter[Key] = field(default_factory=Counter)
    breaker: Breaker = CLOSED
    """The breaker of the account."""

    def claim_attempts(
        self, key: Key, token: UUID, deadline: datetime, lease_s: float, now: datetime
    ) -> tuple[str, RecipientEvent | None]:
        """The verdict on one job, and the event of a final refusal."""
        release, held = self.releases.get(key), self.ledger.get(key)
        send_before = min(deadline, release.send_before) if release else deadline
        if held is None and self.claim_refusal(key, send_before, now) == "breaker_open":
            self._take_probe(key, now, lease_s)
        refusal = self.claim_refusal(key, send_before, now)
        verdict, event = self._verdict(held, token, refusal)
        if not self.rules.refuse and refusal in ("expired", "campaign_cancelled", "opted_out"):
            kind = STOPPED.get(refusal, "expired")
            return kind, ledger_event(kind, key, now, refusal)
        if not self.rules.pk and refusal is None:
            held, verdict = None, "claimed"
        if held is None and verdict in ("claimed", "expired", "skipped", "deferred"):
            event = None if verdict == "claimed" else ledger_event(verdict, key, now, refusal)
            self.ledger[key] = LedgerRow(
                token, send_before, now + timedelta(seconds=lease_s),
                None if event is None else verdict, None if event is None else now, event,
            )  # fmt: skip
            if event is not None:
                self.give_budget_back(key)
        is_over = (
            verdict in ("claimed", "expired", "skipped", "deferred", "held") or key[1] < self.rows[key[0]].facts.attempt
        )
        if release is not None and is_over:
            del self.releases[key]
        is_probe = verdict == "claimed" and not holds(replace(self.breaker, opened_at=now), *key)
        return ("probe" if is_probe else verdict), event

    def _take_probe(self, key: Key, now: datetime, lease_s: float) -> None:
        breaker = self.breaker if self.rules.probe else replace(self.breaker, needs_human=False, probe=None)
        if permits_probe(breaker, now):
            self.breaker = replace(self.breaker, probe=Probe(*key, now + timedelta(seconds=lease_s)))

    def reset_breaker(self, now: datetime) -> None:
        """An operator resumes the campaign."""
        self.breaker = reset(self.breaker, now)

    def _verdict(self, held: LedgerRow | None, token: UUID, refusal: str | None) -> tuple[str, RecipientEvent | None]:
        if held is not None:
            is_mine = held.token == token
            if is_mine and held.outcome in (None, "unknown"):
                return "claimed", None
            if is_mine and not held.is_published:
                return str(held.outcome), held.event
            return "held", None
        if refusal is None:
            return "claimed", None
        return ({"breaker_open": "deferred"} | SKIPPED).get(refusal, refusal), None

    def claim_refusal(self, key: Key, send_before: datetime, now: datetime) -> str | None:
        """The reason why this attempt must not be posted now, or None."""
        row = self.rows[key[0]]
        if row.facts.attempt != key[1] or not self._is_open(row, key[1]):
            return "stale"
        if now >= send_before:
            return "expired"
        if self.campaign == "cancelled":
            return "campaign_cancelled"
        if self.campaign != "active":
            return "paused"
        if key[0] in self.opted_out:
            return "opted_out"
        return "breaker_open" if self.rules.held and holds(self.breaker, *key) else None

    def _is_open(self, row: Row, attempt: int) -> bool:
        if not self.rules.accbits:
            return row.born_with.get(attempt) == (row.facts.accepted_attempts, row.facts.delivered_at)
        return row.status is Status.QUEUED and row.due_at is None

    def renew_claims(self, key: Key, token: UUID, lease_s: float, now: datetime) -> tuple[str, RecipientEvent | None]:
        """Renew a claim under the conditions of a claim, or settle it as not sent. `lost`: the sweep has settled it."""
        held = self.ledger[key]
        if held.token != token or held.outcome is not None:
            return "lost", None
        probe = self.breaker.probe
        if probe is not None and (probe.recipient_id, probe.attempt) == key:
            self.breaker = replace(self.breaker, probe=replace(probe, until=now + timedelta(seconds=lease_s)))
        refusal = self.claim_refusal(key, held.send_before, now)
        if refusal is None:
            held.lease_until = now + timedelta(seconds=lease_s)
            return "renewed", None
        outcome = STOPPED.get(refusal, "expired")
        if outcome == "deferred" and not self.rules.settle:
            return outcome, None
        event = ledger_event(outcome, key, now, refusal)
        self._write(key, held, outcome, event, now)
        return outcome, event

    def settle_attempts(
        self, key: Key, token: UUID, event: RecipientEvent, now: datetime, signal: Signal = Signal.NEUTRAL
    ) -> bool:
        """Write the outcome of the owner of a claim, if there is none yet, or only the `unknown` of the sweep."""
        held, outcome = self.ledger[key], event.kind.value
        is_late = held.outcome == "unknown" and outcome != "unknown" and self.rules.late
        if held.token != token or not (held.outcome is None or is_late):
            return False
        probe = self.breaker.probe
        is_probe = probe is not None and (probe.recipient_id, probe.attempt) == key
        self.breaker = step(self.breaker, ScopeSignal(signal, CODE, REASON, is_probe), now, PAUSES)
        self._write(key, held, outcome, event, now)
        return True

    def _write(self, key: Key, held: LedgerRow, outcome: str, event: RecipientEvent, now: datetime) -> None:
        held.outcome, held.outcome_at, held.event, held.is_published = outcome, now, event, False
        if outcome in NOT_SENT:
            self.give_budget_back(key)

    def mark_published(self, key: Key, outcome: str) -> None:
        """Mark the event of this outcome as published."""
        held = self.ledger.get(key)
        if held is not None and held.outcome == outcome:
            held.is_published = True

    def read_unpublished(self, now: datetime, older_than_s: float) -> list[Key]:
        """Outcomes that their sender should have published by now."""
        before = now - timedelta(seconds=older_than_s)
        return [k for k, v in self.ledger.items() if v.outcome_at and v.outcome_at < before and not v.is_published]

    def declare_unknown(self, now: datetime) -> list[Key]:
        """Settle claims without an outcome after their lease."""
        lost = [key for key, held in self.ledger.items() if held.outcome is None and held.lease_until < now]
        for key in lost:
            self._write(key, self.ledger[key], "unknown", ledger_event("unknown", key, now, None), now)
        return lost

    def give_budget_back(self, key: Key) -> None:
        """Return the budget that the release used."""
        self.used -= 1
        self.returned[key] += 1


def ledger_event(kind: str, key: Key, now: datetime, reason: str | None) -> RecipientEvent:
    """The event of an attempt that was not sent, or may not have been."""
    more: dict[str, Any] = {}
    if kind == "skipped":
        more["skip_reason"] = reason
    if kind in ("deferred", "expired"):
        more["not_before"] = now
    return RecipientEvent(
        kind=EventKind(kind), campaign_id=CAMPAIGN, recipient_id=key[0], attempt=key[1],
        occurred_at=now, received_at=now, **more,
    )  # fmt: skip
