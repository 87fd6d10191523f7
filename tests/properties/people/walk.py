"""A walk of people with several names through a real Postgres: sends, statuses, links, opt-outs, in any order.

The walk makes the calls of the scheduler, of a sender and of the sinks, one at a time. Events are applied at any moment
after they were received, but a sender claims nothing while one of them waits for more than a minute, as the real one.
The walk keeps every event that the topics would have, and it knows from them alone who must not get a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID, uuid4

from domain.frequency import FrequencyCap
from domain.lifecycle import Action
from domain.people import PersonKey, person_of
from domain.subscriptions import FoldedSubscriptions, fold_subscriptions, out_by, reach_of
from domain.webhook_age import WEBHOOK_AGE_MAX_S
from schemas.codec import decode
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from sinks.apply import KnownPhoneNumbers, apply_events
from sinks.subscriptions import apply_subscriptions
from tables import campaigns, editing, frequency, ledger
from tables.ledger import Claim, ClaimResult, Settlement, UnpublishedOutcome
from tables.new_recipients import NewRecipient
from tests.support.world import World

HUMANS = 3
FAILED = Failure(code=131026, reason="undeliverable", retry_class=RetryClass.NEVER, backoff_s=0)
STATUSES = (EventKind.SENT, EventKind.DELIVERED, EventKind.READ, EventKind.FAILED, EventKind.REPLIED)
Event = RecipientEvent | SubscriptionEvent


@dataclass(frozen=True, slots=True)
class Received:
    """An event of a topic, and when it was received, in seconds of the walk."""

    event: Event
    at: float


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was posted."""

    recipient: RecipientId
    campaign: CampaignId
    person: PersonKey
    wamid: Wamid
    attempt: int
    at: datetime


@dataclass(slots=True)
class Walk:
    """The state of a walk."""

    world: World
    random: Random
    now_s: float = 0.0
    received: list[Received] = field(default_factory=list)
    unapplied: list[Received] = field(default_factory=list)
    unanswered: list[SubscriptionEvent] = field(default_factory=list)
    """Events that name a message which is not known yet."""
    jobs: list[SendJob] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    persons: dict[RecipientId, PersonKey] = field(default_factory=dict)
    cap: FrequencyCap | None = None
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=6))

    async def begin(self) -> None:
        """Start two campaigns whose rows name each human in some ways."""
        await self.world.run("UPDATE marketing_campaigns SET status = 'cancelled'")
        if self._chance(0.5):
            self.cap = FrequencyCap(messages=1, days=7)
            await frequency.write_cap(self.world.connection, self.cap)
        for _ in range(2):
            campaign = await self.world.create_campaign(0)
            await editing.edit(self.world.connection, campaign, {"cap_wait_days": 0})
            await self.world.run(
                "UPDATE marketing_campaigns SET created_at = %s WHERE id = %s", self.began_at, campaign
            )
            people = [self._recipient(human) for human in range(HUMANS) for _ in range(self.random.randint(1, 3))]
            await campaigns.add_recipients(self.world.connection, campaign, list({p.name: p for p in people}.values()))
            await self.world.act(campaign, Action.ACTIVATE)
        self.persons = dict(await self.world.run("SELECT id, person FROM campaign_recipients"))

    def _recipient(self, human: int) -> NewRecipient:
        number, user = f"1555000000{human}", f"US.{human}"
        return self.random.choice([
            NewRecipient(number), NewRecipient(f"1555000001{human}"), NewRecipient(None, user_id=user),
        ])  # fmt: skip

    def names(self, human: int) -> list[str]:
        """All names of a human: a number, the number before or after it, and a user id."""
        return [f"1555000000{human}", f"1555000001{human}", f"user:US.{human}"]

    # ----------------------------------------------------------------------------------------------------- moves

    async def step(self) -> None:
        """Make one move."""
        move = self.random.choices(
            (self.release, self.claim, self.hear, self.tell_status, self.apply_some, self.pass_time), (2, 3, 3, 3, 4, 2)
        )[0]
        await move()

    async def release(self) -> None:
        """Release what is due, and read the outbox of the ledger."""
        self.jobs += (await self.world.release()).jobs
        await self._publish()

    async def claim(self) -> None:
        """Claim one job, and post it. Nothing is claimed while an event waits for too long."""
        oldest = min((each.at for each in self.unapplied), default=self.now_s)
        if not self.jobs or self.now_s - oldest > WEBHOOK_AGE_MAX_S:
            return
        job = self.jobs.pop(self.random.randrange(len(self.jobs)))
        token = uuid4()
        [verdict] = await self.world.claim([job], token=token)
        if verdict is ClaimResult.CLAIMED:
            await self._post(job, token)
        await self._publish()

    async def _post(self, job: SendJob, token: UUID) -> None:
        person, wamid = self.persons[job.recipient_id], Wamid(f"wamid.{len(self.sent)}")
        await self.require_allowed(job, person)
        self.sent.append(Sent(job.recipient_id, job.campaign_id, person, wamid, job.attempt, self._now()))
        human = self._human(person)
        also = [name for name in self.names(human) if person_of(name) != person and self._chance(0.3)]
        accepted = self._event(EventKind.ACCEPTED, self.sent[-1], also_known_as=also or None)
        settlement = Settlement(
            Claim(job.recipient_id, job.attempt, token), "accepted", accepted.model_dump_json(), wamid
        )
        await ledger.settle(self.world.connection, [settlement])

    async def hear(self) -> None:
        """A webhook names a human, or one who opts out or in."""
        human = self.random.randrange(HUMANS)
        mine = [each for each in self.sent if self._human(each.person) == human]
        wamid = self.random.choice(mine).wamid if mine and self._chance(0.4) else None
        person, *others = self.random.sample(self.names(human), self.random.randint(1, 2))
        is_changed = bool(others) and self._chance(0.3)
        kind = self.random.choice(list(SubscriptionKind))
        self._receive(SubscriptionEvent(
            person=None if wamid is not None and kind is not SubscriptionKind.IDENTIFIED and not others else person,
            also_known_as=others if others and not is_changed else None,
            formerly=others if is_changed else None, wamid=wamid, kind=kind,
            source=self.random.choice([Source.KEYWORD, Source.PLATFORM]), occurred_at=self._now(),
        ))  # fmt: skip

    async def tell_status(self) -> None:
        """Meta reports a status of a message, with callback data or without, sometimes again."""
        if self.sent:
            sent, kind = self.random.choice(self.sent), self.random.choice(STATUSES)
            failure = FAILED if kind is EventKind.FAILED else None
            event = self._event(kind, sent, failure=failure)
            if self._chance(0.3):
                unnamed = {"campaign_id": None, "recipient_id": None, "attempt": None}
                event = event.model_copy(update=unnamed)
            self._receive(event)

    async def apply_some(self) -> None:
        """The sinks apply a few events, not in order, and sometimes what they have applied before."""
        some = self.random.sample(self.unapplied, min(len(self.unapplied), self.random.randint(1, 4)))
        self.unapplied = [each for each in self.unapplied if each not in some]
        again = self.random.sample(self.received, min(1, len(self.received)))
        pending = [each for each in again if each not in self.unapplied]
        await self.apply([each.event for each in (*some, *pending)])

    async def apply(self, events: Sequence[Event]) -> None:
        """Apply events as the two sinks do."""
        connection = self.world.connection
        async with connection.transaction():
            recipient_events = [each for each in events if isinstance(each, RecipientEvent)]
            applied = await apply_events(connection, recipient_events, KnownPhoneNumbers(), datetime.now(UTC))
            assert not applied.refused
        async with connection.transaction():
            stated = [each for each in events if isinstance(each, SubscriptionEvent)]
            self.unanswered = await apply_subscriptions(connection, [*stated, *self.unanswered])

    async def pass_time(self) -> None:
        """Some seconds pass."""
        self.now_s += self.random.choice((5.0, 20.0, 50.0))

    async def finish(self) -> None:
        """Apply and claim everything that is left."""
        for _ in range(4):
            await self.apply([each.event for each in self.unapplied])
            self.unapplied.clear()
            await self.release()
            for _ in range(len(self.jobs)):
                await self.claim()
        await self.apply([each.event for each in self.unapplied])
        self.unapplied.clear()

    # ------------------------------------------------------------------------------------------------------- laws

    async def require_allowed(self, job: SendJob, person: PersonKey) -> None:
        """Fail if this post breaks a law, by what was received long enough ago, or is applied."""
        old = self.folded(self.now_s - WEBHOOK_AGE_MAX_S)
        young = [each.event for each in self.received if each.at >= self.now_s - WEBHOOK_AGE_MAX_S]
        is_back = any(isinstance(each, SubscriptionEvent) and each.kind is SubscriptionKind.OPTED_IN for each in young)
        if not is_back:
            assert not out_by(reach_of(person, old.links), old.stated), "a post to an opted-out human"
        applied = self.folded(float("inf"), but=self.unapplied)
        assert not out_by(reach_of(person, applied.links), applied.stated), "a post although the opt-out is applied"
        human = reach_of(person, applied.links)
        failed = {
            each.event.wamid for each in self.received
            if isinstance(each.event, RecipientEvent) and each.event.kind is EventKind.FAILED
            and each not in self.unapplied
        }  # fmt: skip
        others = [each for each in self.sent if each.person in human and each.wamid not in failed]
        assert job.campaign_id not in {each.campaign for each in others}, "a second message to a human"
        if self.cap is not None:
            counted = [each for each in others if each.at > self._now() - self.cap.span]
            assert len(counted) < self.cap.messages, "a message above the frequency cap"

    def folded(self, before_s: float, but: Iterable[Received] = ()) -> FoldedSubscriptions:
        """What the events that were received before state together. The links of answers are among them."""
        left_out = list(but)
        events = [each.event for each in self.received if each.at < before_s and each not in left_out]
        known: dict[str, PersonKey] = {
            each.wamid: self.persons[each.recipient_id]
            for each in events
            if isinstance(each, RecipientEvent) and each.wamid is not None and each.recipient_id is not None
        }
        folded = fold_subscriptions([each for each in events if isinstance(each, SubscriptionEvent)], known)
        for each in events:
            if isinstance(each, RecipientEvent) and each.recipient_id is not None:
                for key in each.also_known_as or ():
                    folded.link(self.persons[each.recipient_id], person_of(key), same_account=True)
        return folded

    # ----------------------------------------------------------------------------------------------------- events

    async def _publish(self) -> None:
        """Publish the outcomes of the ledger to the topic."""
        for row in await ledger.unpublished(self.world.connection, 100, older_than_s=-1):
            self._receive(decode(RecipientEvent, row.event.encode()))
            published = UnpublishedOutcome(row.recipient_id, row.attempt, row.outcome, row.event)
            await ledger.mark_published(self.world.connection, [published])

    def _receive(self, event: Event) -> None:
        one = Received(event, self.now_s)
        self.received.append(one)
        self.unapplied.append(one)

    def _event(self, kind: EventKind, sent: Sent, **more: object) -> RecipientEvent:
        return RecipientEvent.model_validate({
            "kind": kind, "campaign_id": sent.campaign, "recipient_id": sent.recipient, "attempt": sent.attempt,
            "wamid": sent.wamid, "occurred_at": self._now(), "received_at": self._now(), **more,
        })  # fmt: skip

    def _now(self) -> datetime:
        return self.began_at + timedelta(seconds=self.now_s)

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _human(self, person: PersonKey) -> int:
        return int(person[-1])
