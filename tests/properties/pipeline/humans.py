"""A model of what Postgres knows about humans: their names, opt-outs, other rows, and messages.

The decisions are the product's own (domain/subscriptions.py, repeats.py, frequency.py, pairs.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.frequency import FrequencyCap
from domain.pairs import PairAttempt, PairState, is_busy
from domain.people import PersonKey
from domain.repeats import OtherAttempt, TwinRefusal, twin_refusal
from domain.subscriptions import fold_subscriptions, out_by, reach_of
from domain.webhook_age import WEBHOOK_AGE_MAX_S
from schemas.events import RecipientEvent
from schemas.model import RecipientId
from schemas.subscriptions import SubscriptionEvent
from tests.properties.pipeline.rows import Key, Rows

NOT_SENT = ("deferred", "expired", "skipped")


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
class Humans(Rows):
    """Opt-outs and links, and what each human got."""

    releases: dict[Key, Release] = field(default_factory=dict)
    ledger: dict[Key, LedgerRow] = field(default_factory=dict)
    waiting: list[SubscriptionEvent] = field(default_factory=list)
    """Statements that name a message which is not known yet."""
    applied_through: datetime | None = None
    """The moment up to which all webhooks are applied. None: nobody watches it."""
    attempts: list[tuple[Key, datetime]] = field(default_factory=list)
    """The released attempts, and when they were released."""

    # ------------------------------------------------------------------------------------------------ subscriptions

    def apply_subscriptions(self, events: Sequence[SubscriptionEvent]) -> None:
        """Apply a batch of the sink of subscriptions. A statement whose message is not known is kept too."""
        known = {
            wamid: self.rows[learned.recipient_id].person
            for wamid, learned in self.messages.items()
            if learned.recipient_id is not None
        }
        folded = fold_subscriptions(events, known)
        for key, stated in folded.stated.items():
            stored = self.people.stated.get(key)
            self.people.stated[key] = stated if stored is None else stored.merged(stated)
        for (one, other), same_account in folded.links.items():
            self.people.link(one, other, same_account=same_account)
        new = [event for event in events if event.wamid is not None and event.wamid not in known]
        self.waiting += [event for event in new if event not in self.waiting] if self.rules.waits else []

    def apply_waiting(self) -> None:
        """Try the statements again that wait for their message."""
        waiting, self.waiting = self.waiting, []
        self.apply_subscriptions(waiting)

    def is_behind(self, now: datetime) -> bool:
        """Whether a webhook may not be applied that is too old for a claim."""
        oldest = now - timedelta(seconds=WEBHOOK_AGE_MAX_S)
        return self.applied_through is not None and self.applied_through < oldest and self.rules.marks

    def reach(self, person: PersonKey) -> dict[PersonKey, bool]:
        """The keys of the human with this key."""
        return reach_of(person, self.people.links if self.rules.links else {})

    def is_unsubscribed(self, recipient: RecipientId) -> bool:
        """Whether a source has unsubscribed the human, under any key."""
        if recipient in self.opted_out:
            return True
        stated = self.people.stated
        return bool(stated) and bool(out_by(self.reach(self.rows[recipient].person), stated))

    # ------------------------------------------------------------------------------------------------ other messages

    def twin_refusal(self, recipient: RecipientId) -> TwinRefusal | None:
        """What another row of the campaign, which is the same human, says against a post."""
        if not self.people.links or not self.rules.twins:
            return None
        row = self.rows[recipient]
        reach = self.reach(row.person)
        twins = {
            other for other, its in self.rows.items()
            if other != recipient and its.campaign == row.campaign and its.person in reach
        }  # fmt: skip
        return twin_refusal(self._attempts_of(twins)) if twins else None

    def _attempts_of(self, twins: set[RecipientId]) -> Iterator[OtherAttempt]:
        for (recipient, attempt), held in self.ledger.items():
            if recipient in twins:
                has_failed = bool(self.rows[recipient].facts.failed_attempts & 1 << attempt)
                yield OtherAttempt(held.outcome, has_failed)
        for recipient in twins:
            facts = self.rows[recipient].facts
            if facts.accepted_attempts & ~facts.failed_attempts:
                yield OtherAttempt("accepted")

    def counted_attempts(
        self, recipient: RecipientId, cap: FrequencyCap, now: datetime
    ) -> tuple[list[datetime], int, int]:
        """What counts towards the cap of the human, without this recipient: the posted, the claimed, the released."""
        posted: list[datetime] = []
        claimed = released = 0
        for key, released_at in self._attempts_of_human(recipient):
            held, release, facts = self.ledger.get(key), self.releases.get(key), self.rows[key[0]].facts
            bit = 1 << key[1]
            if key[0] == recipient or facts.failed_attempts & bit:
                continue
            if held is not None and held.outcome is None:
                claimed += 1
            elif held is not None:
                at = held.outcome_at
                if held.outcome in ("accepted", "unknown") and at is not None and at > now - cap.span:
                    posted.append(at)
            elif release is not None:
                released += release.send_before > now
            elif facts.accepted_attempts & bit and released_at > now - cap.span:
                posted.append(released_at)
        return posted, claimed, released

    def _attempts_of_human(self, recipient: RecipientId) -> list[tuple[Key, datetime]]:
        reach = self.reach(self.rows[recipient].person)
        return [(key, at) for key, at in self.attempts if self.rows[key[0]].person in reach]

    def is_capped(self, recipient: RecipientId, now: datetime) -> bool:
        """Whether the other attempts of the human that were claimed fill the cap."""
        cap = self.limits.cap
        if cap is None or not self.rules.cap:
            return False
        posted, claimed, _ = self.counted_attempts(recipient, cap, now)
        return len(posted) + claimed >= cap.messages

    def is_pair_busy(self, recipient: RecipientId, now: datetime) -> bool:
        """Whether the human has another message on its way, or got one a moment ago. The campaigns have one number."""
        if self.limits.pair_s <= 0:
            return False
        attempts = [self._pair_attempt(key, at) for key, at in self._attempts_of_human(recipient)]
        return is_busy(attempts, now, self.limits.pair_s)

    def _pair_attempt(self, key: Key, released_at: datetime) -> PairAttempt:
        held = self.ledger.get(key)
        if held is None:
            state = PairState.RELEASED if key in self.releases else PairState.UNPOSTED
        elif held.outcome is None:
            state = PairState.CLAIMED
        else:
            state = PairState.UNPOSTED if held.outcome in NOT_SENT else PairState.POSTED
        return PairAttempt(state, released_at, None if held is None else held.outcome_at)
