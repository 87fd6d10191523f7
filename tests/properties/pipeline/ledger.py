"""A model of releases, the ledger and the budget in Postgres. The methods have the names of the SQL functions.

tests/properties/test_pipeline_model_sql.py compares the methods with the SQL.
"""

from __future__ import annotations

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
from domain.inbound import STOPPED_CODE
from domain.status import Status
from schemas.events import EventKind, RecipientEvent
from schemas.model import CampaignId
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from tests.properties.pipeline.budgets import Budgets
from tests.properties.pipeline.humans import NOT_SENT, LedgerRow
from tests.properties.pipeline.rows import Key, Row

SKIPPED = dict.fromkeys(("campaign_cancelled", "opted_out", "same_person"), "skipped")
STOPPED = SKIPPED | dict.fromkeys(("paused", "breaker_open", "twin_open", "frequency_capped"), "deferred")
"""The outcome of a refused renewal, by reason. For every other reason it is expired."""
REFUSED = SKIPPED | dict.fromkeys(("breaker_open", "frequency_capped"), "deferred") | {"twin_open": "busy"}
"""The verdict on a refused claim, by reason. For every other reason it is the reason."""
CODE, REASON = 190, "code 190"
PAUSES = ProbePauses()


@dataclass(slots=True)
class Ledger(Budgets):
    """Claims, refusals, and the breaker of the account."""

    breaker: Breaker = CLOSED
    """The breaker of the account."""
    opt_outs: list[SubscriptionEvent] = field(default_factory=list)
    """The outbox of opt-outs that answers of the Cloud API state."""

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
            return kind, self._event(kind, key, now, refusal)
        if not self.rules.pk and refusal is None:
            held, verdict = None, "claimed"
        if held is None and verdict in ("claimed", "expired", "skipped", "deferred"):
            event = None if verdict == "claimed" else self._event(verdict, key, now, refusal)
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
        return REFUSED.get(refusal, refusal), None

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
        if self.is_behind(now):
            return "paused"
        if self.is_unsubscribed(key[0]):
            return "opted_out"
        twin = self.twin_refusal(key[0])
        if twin is not None:
            return twin.value
        if self.is_capped(key[0], now):
            return "frequency_capped"
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
        event = self._event(outcome, key, now, refusal)
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
        if event.failure is not None and event.failure.code == STOPPED_CODE and outcome == "rejected":
            person = self.rows[key[0]].person
            kind = SubscriptionKind.OPTED_OUT
            self.opt_outs.append(SubscriptionEvent(person=person, kind=kind, source=Source.PLATFORM, occurred_at=now))
        self._write(key, held, outcome, event, now)
        return True

    def _write(self, key: Key, held: LedgerRow, outcome: str, event: RecipientEvent, now: datetime) -> None:
        held.outcome, held.outcome_at, held.event, held.is_published = outcome, now, event, False
        if outcome in NOT_SENT:
            self.give_budget_back(key)

    def _event(
        self, kind: str, key: Key, now: datetime, reason: str | None, due_at: datetime | None = None
    ) -> RecipientEvent:
        return ledger_event(kind, self.rows[key[0]].campaign, key, now, reason, due_at)

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
            self._write(key, self.ledger[key], "unknown", self._event("unknown", key, now, None), now)
        return lost


def ledger_event(
    kind: str, campaign: CampaignId, key: Key, now: datetime, reason: str | None, due_at: datetime | None = None
) -> RecipientEvent:
    """The event of an attempt that was not sent, or may not have been."""
    more: dict[str, Any] = {}
    if kind == "skipped":
        more["skip_reason"] = reason
    if kind in ("deferred", "expired"):
        more["not_before"] = due_at or now
    return RecipientEvent(
        kind=EventKind(kind), campaign_id=campaign, recipient_id=key[0], attempt=key[1],
        occurred_at=now, received_at=now, **more,
    )  # fmt: skip
