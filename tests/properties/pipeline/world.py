"""The surroundings of the tables: the clock, the topics of jobs and events, the Cloud API, and the invariants.

The world records the truth apart from the tables: the received and accepted posts, the requests of the operator, and
the killed processes. Every violation is raised as `Violation` at the step that causes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from domain.breakers import holds
from domain.facts import NOTHING, Facts, merge
from domain.inbound import STOPPED_CODE
from domain.people import PersonKey, person_of
from domain.status import Status
from domain.waiting import OWN_TIMES, kind_of
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import RecipientId, Wamid
from schemas.subscriptions import SubscriptionEvent
from tests.properties.pipeline import laws
from tests.properties.pipeline.humans import NOT_SENT
from tests.properties.pipeline.laws import STOP_S, Post, Record, Violation
from tests.properties.pipeline.limits import Limits, Recipient, unlimited, user_id_of
from tests.properties.pipeline.rows import START, Key, counted
from tests.properties.pipeline.rules import RULES, Rules
from tests.properties.pipeline.tables import Tables

LEASE_S = 45.0
WINDOW_S = 60.0
"""The time from a release to its send_before."""
ATTEMPTS_MAX = 7
"""The limit of attempts in a walk."""
UNKNOWN_S = 100.0

TRANSIENT = Failure(code=131000, reason="a", retry_class=RetryClass.BACKOFF, backoff_s=10)
PERMANENT = Failure(code=131026, reason="b", retry_class=RetryClass.NEVER, backoff_s=0)
STOPPED = Failure(code=STOPPED_CODE, reason="stopped", retry_class=RetryClass.NEVER, backoff_s=0)
HELD_BACK = Failure(code=131049, reason="c", retry_class=RetryClass.HELD_BACK, backoff_s=20)


@dataclass(frozen=True, slots=True)
class Job:
    """A record of `send.jobs`."""

    key: Key
    send_before: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """An action that is possible now. `weight` is its relative frequency among the possible actions."""

    name: str
    weight: float
    act: Callable[[], object]


class World:
    """The clock, the topics, and the recorded truth."""

    def __init__(
        self, rules: Rules = RULES, people: int = 1, limits: Limits | None = None, rows: Sequence[Recipient] = ()
    ) -> None:
        """With limits, the recipients are `rows`, and the walk begins a minute earlier. Else they are strangers."""
        self.rules = rules
        self.is_limited = limits is not None
        self.tables = Tables(rules, unlimited() if limits is None else limits)
        self.seconds = 0.0 if limits is None else -60.0
        for n, row in enumerate(rows or [None] * people):
            self.tables.add_person(RecipientId(UUID(int=n + 1)), self.now, row)
        if limits is not None:
            self.tables.applied_through = self.now
        self.record = Record()
        self.reconciled = 0
        """The webhooks about people that the reconciler has read."""
        self.statements: list[SubscriptionEvent] = []
        self.stated: set[int] = set()
        """The places of the applied statements."""
        self.jobs: list[Job] = []
        self.committed = 0
        self.events: list[RecipientEvent] = []
        self.applied: set[int] = set()
        self.send_before: dict[Key, datetime] = {}
        self.stopped_at: float | None = None
        self.out_at: dict[RecipientId, float] = {}
        self.received: set[Key] = set()
        self.accepted: dict[Key, Wamid | None] = {}
        self.failed_later: set[Key] = set()
        self.retry_requests: set[Key] = set()
        self.excused: set[Key] = set()
        """Attempts that may end as unknown, because their process died or their answer was lost."""
        self._tokens = 0
        self._explained: tuple[int, float, str] | None = None
        """The state whose explanation is checked."""

    @property
    def now(self) -> datetime:
        """The current time. All processes have the same clock."""
        return START + timedelta(seconds=self.seconds)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock. A process in the middle of its work is frozen meanwhile."""
        self.seconds += seconds

    def token(self) -> UUID:
        """A new token."""
        self._tokens += 1
        return UUID(int=self._tokens)

    # ---------------------------------------------------------------------------------------------------- topics

    def event(self, kind: EventKind, key: Key, **more: Any) -> RecipientEvent:
        """An event with the current time."""
        return RecipientEvent(
            kind=kind, campaign_id=self.tables.rows[key[0]].campaign, recipient_id=key[0], attempt=key[1],
            occurred_at=self.now, received_at=self.now, **more,
        )  # fmt: skip

    def publish_event(self, event: RecipientEvent) -> None:
        """Append to `recipient.events`."""
        self.events.append(event)
        if event.wamid is not None and event.recipient_id is not None:
            person = self.tables.rows[event.recipient_id].person
            self.record.accepted_at.setdefault(event.wamid, (self.seconds, person))
            self.record.named += [(self.seconds, person, person_of(name)) for name in event.also_known_as or ()]

    def apply(self, places: list[int]) -> None:
        """Apply these records as one batch of the sink."""
        self.tables.apply_events([self.events[at] for at in places], self.now)
        self.applied.update(places)
        self.record.note_known(self.tables.people, self.seconds)

    def state(self, places: list[int]) -> None:
        """Apply these statements as one batch of the sink of subscriptions."""
        self.tables.apply_subscriptions([self.statements[at] for at in places])
        self.stated.update(places)
        self.record.note_known(self.tables.people, self.seconds)

    def try_waiting(self) -> None:
        """Try the statements again that name a message which was not known."""
        self.tables.apply_waiting()
        self.record.note_known(self.tables.people, self.seconds)

    def human_of(self, recipient: RecipientId) -> int:
        """The human of a row: the last digit of all names."""
        return int(self.tables.rows[recipient].person[-1])

    def user_id_of(self, recipient: RecipientId) -> PersonKey:
        """The user id of the account of a row."""
        return user_id_of(self.tables.rows[recipient].person)

    def is_wamid_known(self, key: Key) -> bool:
        """Whether the sender's event has the wamid. Only then a status without callback data finds its recipient."""
        held = self.tables.ledger.get(key)
        return held is not None and held.event is not None and held.event.wamid is not None

    # ---------------------------------------------------------------------------------------------------- G3, G6

    def post(self, key: Key, *, is_received: bool) -> None:
        """Send a request to the Cloud API. Raises Violation if it must not be sent."""
        held = self.tables.ledger.get(key)
        if held is None:
            raise Violation("G3: a post without a claim")
        if self.now > held.lease_until:
            raise Violation("G6: a post past its lease")
        if self.now > self.send_before[key] + timedelta(seconds=1):
            raise Violation("G6: a post past send_before")
        if self.stopped_at is not None and self.seconds - self.stopped_at > STOP_S:
            raise Violation(f"G6: a post too long after the campaign was {self.tables.campaign}")
        self._require_not_held(key)
        out_at = self.out_at.get(key[0])
        if out_at is not None and self.seconds - out_at > STOP_S:
            raise Violation("G6: a post too long after the opt-out")
        if is_received:
            self._require_first(key)
            self.received.add(key)
        if self.is_limited and is_received:
            self._require_limits(key)

    def _require_limits(self, key: Key) -> None:
        row, limits = self.tables.rows[key[0]], self.tables.limits
        self.record.posts.append(Post(key, row.person, row.campaign, self.now, self.seconds))
        self.record.require_subscribed(row.person, self.seconds)
        accepted = self.accepted.keys() - self.failed_later
        self.record.require_first_of_human(key, row.person, row.campaign, limits, self.now, accepted)
        self.record.require_budgets(limits, row.country)

    def _require_not_held(self, key: Key) -> None:
        breaker = self.tables.breaker
        if breaker.opened_at is None or self.now <= breaker.opened_at + timedelta(seconds=STOP_S):
            return
        if holds(breaker, *key):
            raise Violation("G10: a post that an open breaker holds")
        if breaker.needs_human:
            raise Violation("G10: a probe although a human is needed")

    def _require_first(self, key: Key) -> None:
        if key in self.received:
            raise Violation("G3: a second post of one attempt")
        for other in self.accepted:
            is_older = other[0] == key[0] and other[1] < key[1]
            if is_older and other not in self.failed_later and other not in self.retry_requests:
                raise Violation(
                    "G3: a post although an older attempt was accepted and has not failed, without a request to retry"
                )

    def require_unsent_due(self) -> None:
        """Check that no recipient with a sent message is due. Raises Violation."""
        for row in self.tables.rows.values():
            is_due = row.due_at is not None and row.due_at <= self.now
            if is_due and row.status in (Status.SENT, Status.DELIVERED, Status.READ):
                raise Violation(f"G3: released again, although {row.status}")

    def require_in_turn(self, release: Callable[[], list[Key]]) -> list[Key]:
        """Release, and check that only those were released who were in turn by their explanation. Raises Violation."""
        tables = self.tables
        turns, is_held = laws.in_turn(tables, self.now), tables.breaker.is_open
        own = {each for each, row in tables.rows.items() if kind_of(row.facts, row.capped_until) in OWN_TIMES}
        released = release()
        counts = Counter(tables.rows[key[0]].campaign for key in released if key[0] not in own)
        if not is_held and any(n > turns[campaign] for campaign, n in counts.items()):
            raise Violation("explain: released, although nobody was in turn")
        return released

    # -------------------------------------------------------------------------------------------------- always

    def require_consistent(self) -> None:
        """Check the invariants of every step. Raises Violation."""
        tables = self.tables
        for campaign, counters in tables.counters.items():
            rows = [row for row in tables.rows.values() if row.campaign == campaign]
            if sum((counted(row) for row in rows), Counter()) != +counters:
                raise Violation("G4: counters differ from the recount")
        if self.is_limited:
            laws.require_buckets(tables, self.now)
            state = (tables.changes, self.seconds, tables.campaign)
            if state != self._explained:
                laws.require_explained(tables, self.now)
                self._explained = state
        if tables.used != len(tables.charged) - tables.returned.total():
            raise Violation("budget: the used budget is not the charged minus the returned budget")
        for key, times in tables.returned.items():
            if times > 1:
                raise Violation("budget: returned twice")
            if key not in tables.charged:
                raise Violation("budget: returned, but never charged")
            if key in self.accepted:
                raise Violation("budget: returned for a message that was sent")

    # ------------------------------------------------------------------------------------------------- at the end

    def require_finished(self, random: Random) -> None:
        """Check the invariants of the end, after all work was done. Raises Violation."""
        self._require_no_waiting_row()
        self._require_truth()
        self._require_budget()
        if any(held.outcome is None for held in self.tables.ledger.values()):
            raise Violation("a claim never gets an outcome")
        if any(not held.is_published for held in self.tables.ledger.values()):
            raise Violation("an outcome is never published")
        if any(learned.recipient_id is None for learned in self.tables.messages.values()):
            raise Violation("a status is parked forever")
        if self.statements and len(self.stated) < len(self.statements):
            raise Violation("a statement is never applied")
        laws.require_given_back(self.tables)
        self._require_order_free(random)

    def _require_no_waiting_row(self) -> None:
        tables = self.tables
        for recipient, row in tables.rows.items():
            key = (recipient, row.facts.attempt)
            if row.facts.attempt >= ATTEMPTS_MAX:
                continue
            if row.status in (Status.PENDING, Status.QUEUED):
                raise Violation(f"stuck in {row.status} forever, campaign {tables.campaign}")
            if row.due_at is not None:
                raise Violation(f"{row.status} and due forever, campaign {tables.campaign}")
            if row.status is Status.UNKNOWN and key not in self.excused:
                raise Violation("unknown, although its process lived and received its answer")

    def _require_truth(self) -> None:
        for recipient, row in self.tables.rows.items():
            successful = [key for key in self.accepted if key[0] == recipient and key not in self.failed_later]
            if successful and row.status not in (Status.SENT, Status.DELIVERED, Status.READ):
                raise Violation(f"accepted and never failed, but {row.status} forever")

    def _require_budget(self) -> None:
        tables = self.tables
        for key in tables.charged:
            held = tables.ledger.get(key)
            is_over = held is not None or key not in tables.releases
            is_unsent = held is None or held.outcome in NOT_SENT
            if is_over and tables.returned[key] != is_unsent:
                raise Violation(f"budget: returned {tables.returned[key]} times, unsent {is_unsent}")

    def _require_order_free(self, random: Random) -> None:
        """G2: the same facts in any order, with any batches and duplicates, give the same rows."""
        places = [*self.applied, *random.sample(sorted(self.applied), len(self.applied) // 2)]
        random.shuffle(places)
        again = Tables(self.rules, self.tables.limits)
        for recipient, row in self.tables.rows.items():
            again.add_person(recipient, START, Recipient(row.campaign, row.person, row.country))
        statements = [*self.statements, *random.sample(self.statements, len(self.statements) // 2)]
        random.shuffle(statements)
        while places or statements:
            size = random.randint(1, 4)
            again.apply_events([self.events[at] for at in places[:size]], self.now)
            again.apply_subscriptions(statements[:size])
            places, statements = places[size:], statements[size:]
        again.apply_waiting()
        if again.people != self.tables.people:
            raise Violation("G2: another order of the same events gives other people")
        for recipient, row in self.tables.rows.items():
            own: Facts = NOTHING
            for owner, facts in self.tables.own_facts:
                own = merge(own, facts) if owner == recipient else own
            if merge(again.rows[recipient].facts, own) != row.facts:
                raise Violation("G2: another order of the same events gives a different row")
