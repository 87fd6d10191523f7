"""The laws of people and limits, judged from the posts that Meta received and from what was stated when.

The world keeps what it needs apart from the tables. Decisions are the product's own, and never those of the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.lifecycle import CampaignStatus
from domain.people import PersonKey
from domain.status import Status
from domain.subscriptions import FoldedSubscriptions, fold_subscriptions, out_by, reach_of
from domain.waiting import SKIPS, Situation, WaitGroup, explain, reached
from domain.webhook_age import WEBHOOK_AGE_MAX_S
from schemas.events import RecipientEvent
from schemas.model import CampaignId
from schemas.reasons import WaitReason
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from tests.properties.pipeline.humans import NOT_SENT
from tests.properties.pipeline.limits import Limits
from tests.properties.pipeline.rows import Key
from tests.properties.pipeline.tables import Tables

FRESH_S = 1.0
STOP_S = 2.0
"""The time until a pause, a cancellation, an opt-out or a link takes effect everywhere."""


YOUNG_LINKS = 2
"""With so many links that are young, the tables may know some without the others, so a post is not judged by them."""


class Violation(Exception):
    """An invariant is violated."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A webhook about people: when it was acknowledged, and the events that the reconciler makes of it."""

    at_s: float
    events: tuple[RecipientEvent, ...]
    statements: tuple[SubscriptionEvent, ...]


@dataclass(frozen=True, slots=True)
class Post:
    """A request that Meta received."""

    key: Key
    person: PersonKey
    campaign: CampaignId
    at: datetime
    at_s: float


@dataclass(slots=True)
class Record:
    """What was stated and posted, and when."""

    heard: list[Heard] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    known: list[tuple[float, FoldedSubscriptions]] = field(default_factory=list)
    """What the tables knew about people, from each moment on."""
    hours_changed_at: dict[CampaignId, float] = field(default_factory=dict)
    accepted_at: dict[str, tuple[float, PersonKey]] = field(default_factory=dict)
    """By wamid, when the acceptance was published, and whose it is."""

    named: list[tuple[float, PersonKey, PersonKey]] = field(default_factory=list)
    """The names in answers and statuses, when their events were published, and whose they are."""

    def note_known(self, people: FoldedSubscriptions, at_s: float) -> None:
        """Note what the tables know now, if that is new."""
        if not self.known or (self.known[-1][1].stated, self.known[-1][1].links) != (people.stated, people.links):
            self.known.append((at_s, FoldedSubscriptions(dict(people.stated), dict(people.links))))

    def known_since(self, at_s: float) -> list[FoldedSubscriptions]:
        """What the tables knew at this moment, and all that they learned later."""
        older = sum(at <= at_s for at, _ in self.known)
        return [people for _, people in self.known[max(0, older - 1) :]] if older else []

    # ------------------------------------------------------------------------------------------------------ opt-outs

    def require_subscribed(self, person: PersonKey, now_s: float) -> None:
        """Fail if the human has opted out. Raises Violation."""
        known = self.known_since(now_s - STOP_S)
        if known and all(out_by(reach_of(person, each.links), each.stated) for each in known):
            raise Violation("people: a post although the opt-out is in the table")
        latest = now_s - WEBHOOK_AGE_MAX_S - STOP_S
        young = [each.kind for heard in self.heard if heard.at_s > latest for each in heard.statements]
        old = self._stated(latest)
        if SubscriptionKind.OPTED_IN in young or not out_by(reach_of(person, old.links), old.stated):
            return
        # A young link may lead to an opt-in.
        new = self._stated(now_s)
        if len(new.links) - len(old.links) < YOUNG_LINKS and out_by(reach_of(person, new.links), new.stated):
            raise Violation("people: a post a minute after the webhook of the opt-out")

    def _stated(self, until_s: float) -> FoldedSubscriptions:
        """What the webhooks that were acknowledged by then, and the answers until then, state about people."""
        known = {wamid: its for wamid, (at_s, its) in self.accepted_at.items() if at_s <= until_s}
        heard = [each for heard in self.heard if heard.at_s <= until_s for each in heard.statements]
        folded = fold_subscriptions(heard, known)
        for at_s, one, other in self.named:
            if at_s <= until_s:
                folded.link(one, other, same_account=True)
        return folded

    def require_first_of_human(
        self, key: Key, person: PersonKey, campaign: CampaignId, limits: Limits, now: datetime, accepted: set[Key]
    ) -> None:
        """Fail if the human has a message of the campaign, or as many as the cap allows. Raises Violation."""
        now_s = self.posts[-1].at_s
        known = self.known_since(now_s - STOP_S)
        reach = reach_of(person, known[0].links if known else {})
        others = [
            post for post in self.posts if post.person in reach and post.key[0] != key[0] and post.key in accepted
        ]
        if any(post.campaign == campaign for post in others):
            raise Violation("people: a second message of a campaign to a human")
        cap = limits.cap
        if cap is not None and sum(post.at > now - cap.span for post in others) >= cap.messages:
            raise Violation("cap: a message above the frequency cap")

    # ------------------------------------------------------------------------------------------------------- budgets

    def require_budgets(self, limits: Limits, country: str) -> None:
        """Fail if the newest post is outside its window, or above a budget. Raises Violation."""
        post = self.posts[-1]
        changed_at = self.hours_changed_at.get(post.campaign)
        if changed_at is None or post.at_s - changed_at > STOP_S:
            moments = (post.at, post.at - timedelta(seconds=FRESH_S))
            if not any(limits.is_open(post.campaign, country, at) for at in moments):
                raise Violation("window: a post while the window is closed")
        limit = limits.campaigns[post.campaign].daily_limit
        if limit is not None and sum(1 for _ in self._of_day(post, limits)) > limit:
            raise Violation("day: more posts than the limit of the day")
        budget = limits.portfolio
        if budget is not None:
            since = post.at - timedelta(seconds=budget.window_s - FRESH_S)
            if len({each.person for each in self.posts if each.at > since}) > budget.people_max:
                raise Violation("portfolio: more people than the budget")

    def _of_day(self, post: Post, limits: Limits) -> Iterator[Post]:
        """The posts that are surely of the day of this one: a post may be a second late."""
        for each in self.posts:
            days = {limits.day(each.campaign, at) for at in (each.at, each.at - timedelta(seconds=FRESH_S))}
            if each.campaign == post.campaign and days == {limits.day(post.campaign, post.at)}:
                yield each


# --------------------------------------------------------------------------------------------------------- explanations


def explained(tables: Tables, campaign: CampaignId, now: datetime) -> tuple[list[WaitGroup], int]:
    """The groups of a campaign, and the recipients with a message."""
    counters, limits = tables.counters[campaign], tables.limits
    opens_at = {}
    for country in {"", *(row.country for row in tables.rows.values())}:
        period = limits.period(campaign, country, now)
        opens_at[country] = now if period.is_open or not tables.rules.window else period.until
    rows = [(recipient, row) for recipient, row in tables.rows.items() if row.campaign == campaign]
    situation = Situation(
        CampaignStatus(tables.campaign), now, opens_at=opens_at,
        breakers=("account",) if tables.breaker.is_open else (),
        follows=limits.campaigns[campaign].hours.follows == "recipient",
        left_today=tables.left_today(campaign, now), left_in_portfolio=tables.left_in_portfolio(now),
        paired=sum(
            row.due_at is not None and row.due_at <= now and tables.is_pair_busy(recipient, now)
            for recipient, row in rows
        ),
    )  # fmt: skip
    return explain(counters, situation), reached(counters)


def require_explained(tables: Tables, now: datetime) -> None:
    """Fail if a recipient of a campaign is in no group or in two. Raises Violation."""
    for campaign in tables.limits.campaigns:
        rows = [row for row in tables.rows.values() if row.campaign == campaign]
        groups, with_message = explained(tables, campaign, now)
        if with_message + sum(group.recipients for group in groups) != len(rows):
            raise Violation("explain: the groups are not the audience")
        if len({group.reason for group in groups}) < len(groups) and tables.campaign != "cancelled":
            raise Violation("explain: a reason is given twice")
        own: Counter[WaitReason] = Counter()
        waiting = 0
        for row in rows:
            if row.due_at is not None or row.status is Status.PENDING:
                waiting += 1
            elif row.status is Status.SKIPPED and row.facts.skipped is not None:
                own[SKIPS[row.facts.skipped.reason]] += 1
            elif row.status in _SETTLED:
                own[_SETTLED[row.status]] += 1
        if tables.campaign == "cancelled":
            own[WaitReason.CANCELLED] += waiting
            waiting = 0
        sizes = Counter(dict.fromkeys(own, 0))
        for group in groups:
            sizes[group.reason] += group.recipients
        if any(sizes[reason] != n for reason, n in own.items()):
            raise Violation("explain: a reason has other recipients than the rows")
        if sizes.total() - own.total() != waiting:
            raise Violation("explain: those that wait are not in the groups of those that wait")


_SETTLED = {
    Status.QUEUED: WaitReason.IN_FLIGHT, Status.UNKNOWN: WaitReason.UNKNOWN, Status.FAILED: WaitReason.FAILED
}  # fmt: skip


def in_turn(tables: Tables, now: datetime) -> dict[CampaignId, int]:
    """How many recipients of each campaign may be released now, by their explanation."""
    turns = (WaitReason.IN_TURN, WaitReason.PAIR_LIMIT)
    return {
        campaign: sum(group.recipients for group in explained(tables, campaign, now)[0] if group.reason in turns)
        for campaign in tables.limits.campaigns
    }


def require_buckets(tables: Tables, now: datetime) -> None:
    """Fail if the people of the buckets of the portfolio are not those of its charges. Raises Violation."""
    budget = tables.limits.portfolio
    if budget is None:
        return
    counts_after = budget.counts_after(now)
    newest: dict[PersonKey, datetime] = {}
    for person, bucket in tables.charges.values():
        if bucket > counts_after:
            newest[person] = max(bucket, newest.get(person, bucket))
    counted = {bucket: n for bucket, n in tables.buckets.items() if n and bucket > counts_after}
    if counted != Counter(newest.values()):
        raise Violation("portfolio: the buckets differ from the charges")


def require_given_back(tables: Tables) -> None:
    """Fail if the portfolio still counts an attempt that was surely not posted. Raises Violation."""
    for key in tables.charges:
        held = tables.ledger.get(key)
        if held is None or held.outcome in NOT_SENT:
            raise Violation("portfolio: an attempt that was not posted is never given back")
