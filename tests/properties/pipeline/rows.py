"""A model of rows, counters and messages in Postgres. Facts, merge, status and fold are the product's own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from domain.facts import NOTHING, Facts, merge
from domain.fold import fold, merge_parked
from domain.parked import Learned, Message
from domain.people import PersonKey, person_of
from domain.status import Status, next_attempt_at, status
from domain.subscriptions import FoldedSubscriptions
from domain.waiting import OWN_TIMES, kind_of
from schemas.events import RecipientEvent, RetryClass
from schemas.model import CampaignId, RecipientId
from tests.properties.pipeline.limits import CAMPAIGN, Limits, Recipient, unlimited
from tests.properties.pipeline.rules import RULES, Rules

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MAX_RETRIES = 3

Key = tuple[RecipientId, int]
"""A recipient and the number of its attempt."""


@dataclass(slots=True)
class Row:
    """One recipient."""

    planned_at: datetime
    person: PersonKey
    campaign: CampaignId = CAMPAIGN
    country: str = ""
    """The country whose clock decides where the window follows the recipients; empty: that of the campaign."""
    facts: Facts = NOTHING
    status: Status = Status.PENDING
    due_at: datetime | None = None
    stored_due_at: datetime | None = None
    """Used only without the rule `due`."""
    capped_until: datetime | None = None
    """The time to which the frequency cap deferred it last."""
    changed_at: datetime = START
    born_with: dict[int, tuple[int, datetime | None]] = field(default_factory=dict)
    """For each attempt, the accepted attempts and the delivery at its release. Used only without the rule `accbits`."""


@dataclass(slots=True)
class Rows:
    """The recipients of the campaigns, and their known messages."""

    rules: Rules = RULES
    limits: Limits = field(default_factory=unlimited)
    rows: dict[RecipientId, Row] = field(default_factory=dict)
    campaign: str = "active"
    """The state of all campaigns."""
    opted_out: set[RecipientId] = field(default_factory=set)
    """The people that an operator has opted out."""
    people: FoldedSubscriptions = field(default_factory=FoldedSubscriptions)
    """What webhooks stated about people: opt-outs, opt-ins and links."""
    messages: dict[str, Learned] = field(default_factory=dict)
    counters: dict[CampaignId, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    changes: int = 0
    """How often a row changed."""
    own_facts: list[tuple[RecipientId, Facts]] = field(default_factory=list)
    """Facts without an event: releases and skips. Together with the events they are all the facts."""

    def add_person(self, recipient: RecipientId, planned_at: datetime = START, row: Recipient | None = None) -> None:
        """Add a pending row. Without `row` it is a stranger in the first campaign."""
        row = row or Recipient(CAMPAIGN, PersonKey(str(15_550_000_000 + recipient.int)))
        self.rows[recipient] = Row(
            planned_at, row.person, row.campaign, row.country, due_at=planned_at, stored_due_at=planned_at
        )
        self.counters[row.campaign].update(counted(self.rows[recipient]))

    # -------------------------------------------------------------------------------------------------------- rows

    def put(self, recipient: RecipientId, facts: Facts, now: datetime, capped_until: datetime | None = None) -> None:
        """Merge facts into a row, and update the counters like the triggers."""
        row = self.rows[recipient]
        merged = merge(row.facts, facts)
        if merged == row.facts and capped_until is None:
            return
        self.changes += 1
        self.counters[row.campaign].subtract(counted(row))
        row.capped_until = row.capped_until if capped_until is None else capped_until
        row.facts = merged
        row.status = status(merged) if self.rules.accbits else _status_by_the_last_acceptance(merged)
        due_at = next_attempt_at(merged, planned_at=row.planned_at, created_at=START, max_retries=MAX_RETRIES)
        if not self.rules.due:
            if due_at is not None and facts.attempt == merged.attempt:
                row.stored_due_at = due_at
            due_at = row.stored_due_at
        row.due_at = due_at
        row.changed_at = now
        self.counters[row.campaign].update(counted(row))

    def state(self, recipient: RecipientId, facts: Facts, now: datetime, capped_until: datetime | None = None) -> None:
        """Merge facts without an event."""
        self.own_facts.append((recipient, facts))
        self.rows[recipient].stored_due_at = None
        self.put(recipient, facts, now, capped_until)

    def apply_events(self, events: Sequence[RecipientEvent], now: datetime) -> None:
        """Apply a batch of the sink: messages first, then rows."""
        created_at: Mapping[RecipientId, datetime] = dict.fromkeys(self.rows, START)
        folded = fold(events, created_at, set())
        assert not folded.refused, folded.refused
        lost = merge_parked(folded, self.merge_messages(folded.messages), created_at)
        assert not lost, lost
        for recipient, facts in folded.facts.items():
            self.put(recipient, facts, now)
        for event in events:
            for name in event.also_known_as or ():
                assert event.recipient_id is not None, "only an event of a recipient has further names"
                self.people.link(self.rows[event.recipient_id].person, person_of(name), same_account=True)

    def merge_messages(self, learned: Mapping[str, Learned]) -> list[Message]:
        """Merge the facts of each wamid. Returns the changed messages."""
        changed: list[Message] = []
        for wamid, new in learned.items():
            known = self.messages.setdefault(wamid, Learned())
            parked = merge(known.parked, new.parked)
            is_claim = known.recipient_id is None and new.recipient_id is not None
            if parked == known.parked and not is_claim:
                continue
            is_seen = self.rules.parking or not is_claim
            known.parked = parked
            if is_claim:
                known.recipient_id, known.attempt = new.recipient_id, new.attempt
            facts = with_attempt(parked, known.attempt) if known.attempt and is_seen and parked != NOTHING else None
            changed.append(Message(wamid, known.recipient_id, known.attempt, facts))
        return changed


def with_attempt(parked: Facts, attempt: int) -> Facts:
    """Facts that were parked as attempt 1, with the attempt of their wamid instead."""
    bit = 1 << attempt
    return replace(
        parked, attempt=attempt,
        accepted_attempts=bit if parked.acceptance else 0,
        acceptance=replace(parked.acceptance, attempt=attempt) if parked.acceptance else None,
        failed_attempts=bit if parked.failure else 0,
        held_back_attempts=bit if parked.failure and parked.failure.retry_class is RetryClass.HELD_BACK else 0,
        failure=replace(parked.failure, attempt=attempt) if parked.failure else None,
    )  # fmt: skip


def counted(row: Row) -> Counter[str]:
    """The counters of one row."""
    facts = row.facts
    is_retrying = row.status in (Status.FAILED, Status.UNKNOWN) and row.due_at is not None
    keys: Iterable[tuple[str, object]] = (
        (f"status/{row.status}", True), ("funnel/total", True), ("funnel/sent", facts.sent_at),
        ("funnel/delivered", facts.delivered_at), ("funnel/read", facts.read_at), ("funnel/retrying", is_retrying),
        ("funnel/due", row.due_at),
    )  # fmt: skip
    counts = Counter(key for key, holds in keys if holds)
    if row.status is Status.SKIPPED and facts.skipped is not None:
        counts[f"skip/{facts.skipped.reason}"] = 1
    if row.due_at is not None:
        kind = kind_of(facts, row.capped_until)
        counts[f"wait/{kind}"] = 1
        if row.country and kind not in OWN_TIMES:
            counts[f"window/{row.country}"] = 1
    return counts


def _status_by_the_last_acceptance(facts: Facts) -> Status:
    """The status without the rule `accbits`: only the last acceptance counts."""
    if facts.delivered_at is None and facts.failed_attempts & (1 << facts.attempt):
        return Status.FAILED
    is_old = facts.acceptance is None or facts.acceptance.attempt != facts.attempt
    return status(replace(facts, accepted_attempts=0)) if is_old else status(facts)
