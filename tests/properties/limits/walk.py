"""A walk of people and campaigns with all limits, on a real Postgres whose clock the walk sets.

It adds to the walk of people: webhooks that the reconciler reads, windows and quiet hours, limits of a day, the budget
of the portfolio, the frequency cap and the pair limit, every kind of answer, senders that die, pauses, cancellations.
After each move the counters, the budgets and the explanations are compared with the rows and with the model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from domain.error_codes import failure
from domain.frequency import FrequencyCap
from domain.lifecycle import Action, ActionNotAllowed
from domain.people import person_of
from domain.portfolio import PortfolioBudget
from domain.signals import Signals
from domain.webhook_age import WEBHOOK_AGE_MAX_S
from domain.windows import Hours, WindowZone, make_window
from schemas.events import EventKind
from schemas.jobs import SendJob
from schemas.model import CampaignId, Wamid
from tables import (
    budget_returns,
    campaigns,
    closing,
    explanations,
    frequency,
    ledger,
    portfolio,
    release_pages,
    stats,
    subscriptions,
)  # fmt: skip
from tables.campaigns import NewCampaign
from tables.ledger import Claim, ClaimResult, Settlement
from tables.releases import Rates
from tests.properties.limits.clock import set_clock
from tests.properties.limits.laws import CampaignSettings, Key, Limits
from tests.properties.people.walk import Sent, Walk
from tests.support import person_webhooks

HUMANS = 5
BEGINS_AT = datetime(2026, 5, 4, 13, tzinfo=UTC)
"""Every campaign of a walk is in its window an hour later at most."""
PAIR_S = 6.0
LEASE_S = 45.0
UNKNOWN_S = 86_400.0
USED = """
    SELECT campaign_id, day, used - coalesce((SELECT sum(n) FROM budget_returns AS r
                                              WHERE (r.campaign_id, r.day) = (d.campaign_id, d.day)), 0)
    FROM campaign_days AS d
"""
ANSWERS = ("accepted", "for good", "for now", "held back", "stopped", "throttled", "dies")
WEIGHTS = (10, 1, 1, 1, 1, 1, 2)
CODES = {"for good": 131026, "for now": 131000, "held back": 131049, "stopped": 131050}
WINDOWS: tuple[dict[str, Any], ...] = (
    {}, {"window_from": "09:00", "window_to": "20:00"},
    {"window_from": "08:00", "window_to": "22:00", "quiet_from": "12:00", "quiet_to": "14:00"},
    {"window_from": "10:00", "window_to": "18:00", "window_zone": WindowZone.RECIPIENT.value},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim whose message is not posted yet."""

    job: SendJob
    token: UUID
    at_s: float

    @property
    def key(self) -> Key:
        """The recipient and the attempt."""
        return self.job.recipient_id, self.job.attempt


@dataclass(slots=True)
class LimitedWalk(Walk):
    """The state of a walk with limits."""

    limits: Limits = field(default_factory=lambda: Limits(PortfolioBudget(1), timedelta(seconds=PAIR_S)))
    claimed: list[Claimed] = field(default_factory=list)
    inbound: int = 0
    """The number of messages of people."""

    async def begin(self) -> None:
        """Start three campaigns of two numbers, each with windows and limits of its own."""
        self.began_at = BEGINS_AT
        if self._chance(0.5):
            self.cap = FrequencyCap(messages=1, days=self.random.choice([1, 2]))
            await frequency.write_cap(self.world.connection, self.cap)
        self.limits.portfolio = PortfolioBudget(self.random.randint(2, 4))
        for number in ("1", "1", "2"):
            await self._start(number)
        self.persons = dict(await self.world.run("SELECT id, person FROM campaign_recipients"))

    async def _start(self, number: str) -> None:
        window, zone = self.random.choice(WINDOWS), self.random.choice(["UTC", "America/New_York", "Asia/Kolkata"])
        new = NewCampaign(
            "Test Campaign", "your_template", "en_US", self.random.choice([None, 2, 3]), number, zone, canary=False,
            cap_wait_days=self.random.choice([0, 3]), stale_after_hours=None, failure_limit_percent=100.0,
        )  # fmt: skip
        new = replace(new, **window)
        campaign = CampaignId((await campaigns.create(self.world.connection, new)).id)
        people = [self._recipient(human) for human in range(HUMANS) for _ in range(self.random.randint(1, 2))]
        await campaigns.add_recipients(self.world.connection, campaign, list({p.name: p for p in people}.values()))
        await self.world.act(campaign, Action.ACTIVATE)
        hours = Hours(
            make_window(new.window_days, new.window_from, new.window_to, new.quiet_from, new.quiet_to),
            WindowZone(new.window_zone), zone,
        )  # fmt: skip
        self.limits.campaigns[campaign] = CampaignSettings(number, hours, new.daily_send_limit)

    # ----------------------------------------------------------------------------------------------------- moves

    async def step(self) -> None:
        """Make one move, and compare the tables with the model."""
        moves: list[tuple[Callable[[], Awaitable[None]], float]] = [
            (self.release, 3), (self.claim, 4), (self.post_claimed, 4), (self.hear, 3), (self.tell_status, 2),
            (self.apply_some, 4), (self.pass_time, 3), (self.keep_up, 2), (self.operate, 0.7),
        ]  # fmt: skip
        [(move, _)] = self.random.choices(moves, [weight for _, weight in moves])
        await move()
        await self.require_equal()

    async def release(self) -> None:
        """Release what is due within all limits, and read the outboxes."""
        released = await self.world.release(Rates(5, 10, self.limits.portfolio, pair_s=PAIR_S))
        self.limits.release(released.jobs, self._now())
        self.jobs += released.jobs
        await self._publish()

    async def claim(self) -> None:
        """Claim one job. Some are posted at once, and others after a while."""
        if not self.jobs or self._is_behind():
            return
        job = self.jobs.pop(self.random.randrange(len(self.jobs)))
        claimed = Claimed(job, uuid4(), self.now_s)
        [verdict] = await self.world.claim([job], token=claimed.token, lease_s=LEASE_S)
        if verdict is ClaimResult.PAUSED:
            self.jobs.append(job)  # the job comes again
        elif verdict is ClaimResult.CLAIMED:
            self.limits.taken.add(claimed.key)
            self.claimed.append(claimed)
            if self._chance(0.6):
                await self._post_message(self.claimed.pop())
        await self._publish()

    async def post_claimed(self) -> None:
        """Renew a claim, and post its message if the renewal permits it."""
        if not self.claimed:
            return
        claimed = self.claimed.pop(self.random.randrange(len(self.claimed)))
        mine = Claim(*claimed.key, claimed.token)
        if self.now_s - claimed.at_s >= LEASE_S:
            await self._settle_unsent(claimed, EventKind.EXPIRED)
        elif self._is_behind():
            await self._settle_unsent(claimed, EventKind.DEFERRED)
        else:
            verdict = (await ledger.renew(self.world.connection, [mine], LEASE_S))[claimed.key].verdict.value
            if verdict == "renewed":
                await self._post_message(claimed)
            else:
                self.limits.unsent.add(claimed.key)
        await self._publish()

    async def _settle_unsent(self, claimed: Claimed, kind: EventKind) -> None:
        """Settle a claim as surely not sent. A sweep that has declared it unknown meanwhile is corrected."""
        event = self._event(kind, self._sent_of(claimed.job), not_before=self._now()).model_copy(update={"wamid": None})
        await self._settle(claimed, kind.value, event.model_dump_json(), None, Signals())
        self.limits.unsent.add(claimed.key)

    async def _settle(self, claimed: Claimed, outcome: str, event: str, wamid: Wamid | None, signals: Signals) -> None:
        settlement = Settlement(Claim(*claimed.key, claimed.token), outcome, event, wamid, signals)
        await ledger.settle(self.world.connection, [settlement])

    async def _post_message(self, claimed: Claimed) -> None:
        """Post a message, and write its answer to the ledger, unless the sender dies before."""
        [answer] = self.random.choices(ANSWERS, WEIGHTS)
        sent = self._sent_of(claimed.job)
        if answer == "throttled":
            await self._settle_unsent(claimed, EventKind.DEFERRED)
            return
        await self.require_allowed(claimed.job, sent.person)
        self.limits.post(claimed.job, sent.person, self._now())
        if answer in CODES:
            code = CODES[answer]
            failed = failure(code, answer, attempt=sent.attempt, from_webhook=False, time_scale=1)
            event = self._event(EventKind.REJECTED, sent, failure=failed).model_copy(update={"wamid": None})
            await self._settle(claimed, "rejected", event.model_dump_json(), None, Signals(code=code, reason=answer))
            return
        self.sent.append(sent)
        if answer == "accepted":
            names = self.names(self._human(sent.person))
            also = [name for name in names if person_of(name) != sent.person and self._chance(0.3)]
            event = self._event(EventKind.ACCEPTED, sent, also_known_as=also or None)
            await self._settle(claimed, "accepted", event.model_dump_json(), sent.wamid, Signals())

    def _sent_of(self, job: SendJob) -> Sent:
        wamid = Wamid(f"wamid.{job.recipient_id}.{job.attempt}")
        return Sent(job.recipient_id, job.campaign_id, self.persons[job.recipient_id], wamid, job.attempt, self._now())

    async def hear(self) -> None:
        """A webhook about a person: a word, a button, a preference, another number or user id, a stopped message."""
        human, self.inbound, at = self.random.randrange(HUMANS), self.inbound + 1, self._now()
        mine = [each for each in self.sent if self._human(each.person) == human]
        answered = self.random.choice(mine) if mine and self._chance(0.5) else None
        wamid = None if answered is None else str(answered.wamid)
        number, other, user = self.names(human)
        names = self.random.choice([[number], [other], [user], [number, user], [other, user]])
        word = self.random.choice(["STOP", "STOP", "START", "Hello"])
        content = self.random.choice([person_webhooks.text, person_webhooks.button])(word)
        value, kind = person_webhooks.message(names, content, at, self.inbound, wamid), "messages"
        match self.random.randrange(6):
            case 0:
                value, kind = (
                    person_webhooks.preference(names, self.random.choice(["stop", "resume"]), at),
                    "user_preferences",
                )
            case 1:
                value = person_webhooks.changed([number, user], [other], at, self.inbound)
            case 2 if answered is not None:
                value = person_webhooks.stopped(
                    answered.campaign, answered.recipient, answered.attempt, str(answered.wamid), names, at
                )
        for event in person_webhooks.read(value, kind, at):
            self._receive(event)

    async def keep_up(self) -> None:
        """The periodic work of a scheduler."""
        connection = self.world.connection
        ids = list(self.limits.campaigns)
        await ledger.declare_unknown(connection, 100)
        for campaign in await closing.find_cancelled(connection, ids):
            await closing.skip_chunk(connection, campaign, 100)
        await closing.complete(connection, ids, UNKNOWN_S)
        await closing.reopen(connection, ids)
        await release_pages.forget_answered(connection, 5, 100)
        await budget_returns.apply_returns(connection, budget_returns.FIRST, 100)
        await portfolio.settle(connection)
        await self._publish()

    async def operate(self) -> None:
        """An operator pauses, resumes or cancels a campaign."""
        campaign = self.random.choice(list(self.limits.campaigns))
        [action] = self.random.choices((Action.PAUSE, Action.RESUME, Action.CANCEL), (3, 5, 0.5))
        with suppress(ActionNotAllowed):
            await self.world.act(campaign, action)

    async def pass_time(self) -> None:
        """Seconds pass, or hours. Each post of a batch has a moment of its own."""
        await self._advance(self.random.choice((1.0, 5.0, 20.0, 50.0, 700.0, 3600.0, 5 * 3600.0, 11 * 3600.0)))

    async def _advance(self, seconds: float) -> None:
        self.now_s += seconds
        await set_clock(self.world, self._now())

    async def finish(self) -> None:
        """Days pass in which everything is applied, claimed and posted that may be."""
        for campaign in self.limits.campaigns:
            with suppress(ActionNotAllowed):
                await self.world.act(campaign, Action.RESUME)
        for _ in range(20):
            await self.apply([each.event for each in self.unapplied])
            self.unapplied.clear()
            await self.release()
            for _ in range(len(self.jobs) + 1):
                await self.claim()
            while self.claimed:
                await self.post_claimed()
            await self.keep_up()
            await self._advance(4 * 3600.0 + 10)
        for _ in range(len(self.jobs) + 1):
            await self.claim()
        while self.claimed:
            await self.post_claimed()
        await self._advance(2 * LEASE_S)
        await self.keep_up()
        while self.unapplied:
            events, self.unapplied = [each.event for each in self.unapplied], []
            await self.apply(events)
        assert not self.jobs, "a released job is never answered"

    def _is_behind(self) -> bool:
        """Whether an event waits for so long that nothing may be claimed or posted."""
        oldest = min((each.at for each in self.unapplied), default=self.now_s)
        return self.now_s - oldest > WEBHOOK_AGE_MAX_S

    async def _publish(self) -> None:
        """Publish the outcomes of the ledger, and the opt-outs of the answers."""
        await super(LimitedWalk, self)._publish()
        stated = await subscriptions.unpublished(self.world.connection, 100)
        for each in stated:
            self._receive(each.event)
        await subscriptions.mark_published(self.world.connection, stated)

    # ------------------------------------------------------------------------------------------------------ tables

    async def require_equal(self) -> None:
        """Compare the counters, the budgets and the explanations with the rows and the model."""
        connection, now = self.world.connection, self._now()
        for campaign in self.limits.campaigns:
            assert await stats.recount(connection, campaign) == []
            explained = await explanations.read(connection, campaign, pair_s=PAIR_S)
            assert explained.with_message + sum(each.recipients for each in explained.reasons) == explained.total
            reasons = [(each.reason, each.detail) for each in explained.reasons]
            assert len(set(reasons)) == len(reasons), "a reason is given twice"
        released = await self.world.run("SELECT recipient_id, attempt FROM releases")
        assert {(row[0], row[1]): row[2] for row in await self.world.run(USED) if row[2]} == self.limits.budgets(
            [(row[0], row[1]) for row in released]
        )
        assert await portfolio.recount(connection) == []
        use = await portfolio.read(connection)
        assert self.limits.people(now) <= use.used <= self.limits.portfolio.people_max
