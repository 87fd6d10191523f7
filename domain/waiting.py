"""Why the recipients of a campaign have no message yet: every one in exactly one group. Pure.

The counters of a campaign give the sizes of the groups, so an explanation costs the same for ten recipients and for ten
million. What a recipient waits for in itself is in the counters (`WaitKind`). What the whole campaign waits for is
decided here: its state, its start, a breaker, its window, its canary, the limit of the day, and the budget of the
portfolio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.events import RetryClass
from schemas.reasons import WaitReason

from domain.facts import Facts
from domain.lifecycle import CampaignStatus
from domain.status import Status, status


class WaitKind(StrEnum):
    """What made a recipient due, now or later."""

    PLANNED = "planned"
    DEFERRED = "deferred"
    EXPIRED = "expired"
    REQUESTED = "requested"
    REQUESTED_UNKNOWN = "requested_unknown"
    BACKOFF = "backoff"
    HELD_BACK = "held_back"
    FREQUENCY_CAP = "frequency_cap"


OWN_TIMES = frozenset({WaitKind.BACKOFF, WaitKind.HELD_BACK, WaitKind.FREQUENCY_CAP})
"""They wait for a time of their own."""
_QUEUED = (WaitKind.DEFERRED, WaitKind.EXPIRED, WaitKind.FREQUENCY_CAP)
REACHED = (Status.SENT, Status.DELIVERED, Status.READ)
SKIPS = {
    "opted_out": WaitReason.OPTED_OUT,
    "campaign_cancelled": WaitReason.CANCELLED,
    "same_person": WaitReason.SAME_PERSON,
    "template_parameters_invalid": WaitReason.TEMPLATE_PARAMETERS_INVALID,
    "frequency_capped": WaitReason.FREQUENCY_CAPPED,
    "excluded": WaitReason.EXCLUDED,
    "unknown": WaitReason.SKIPPED,
}


def kind_of(facts: Facts, capped_until: datetime | None = None) -> WaitKind:
    """The kind of wait of a recipient that is due, now or later. `wait_counter_key` in schema.sql is the same.

    `capped_until`: the time to which the frequency cap deferred it last.
    """
    match status(facts):
        case Status.PENDING:
            return WaitKind.PLANNED
        case Status.QUEUED:
            if facts.deferred is None or facts.deferred.attempt != facts.attempt:
                return WaitKind.EXPIRED
            return WaitKind.FREQUENCY_CAP if facts.deferred.until == capped_until else WaitKind.DEFERRED
        case Status.UNKNOWN:
            return WaitKind.REQUESTED_UNKNOWN
    if facts.retry_attempt == facts.attempt:
        return WaitKind.REQUESTED
    is_held_back = facts.failure is not None and facts.failure.retry_class is RetryClass.HELD_BACK
    return WaitKind.HELD_BACK if is_held_back else WaitKind.BACKOFF


@dataclass(frozen=True, slots=True)
class WaitGroup:
    """Recipients without a message, for one reason."""

    reason: WaitReason
    recipients: int
    next_at: datetime | None = None
    """When that can change by itself, at the earliest; None: not by itself, or it is not known."""
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the whole campaign waits for."""

    status: CampaignStatus
    now: datetime
    pause_reason: str | None = None
    start_at: datetime | None = None
    breakers: tuple[str, ...] = ()
    """The open breakers that hold the campaign, by scope and key."""
    probe_at: datetime | None = None
    opens_at: Mapping[str, datetime | None] | None = None
    """When the window of each country opens: not later than now if it is open, None if never. The country of those that
    follow the clock of the campaign is empty. None: its hours make no sense, and the scheduler pauses it."""
    follows: bool = False
    left_today: int | None = None
    """What is left of the limit of the day; None: there is no limit."""
    next_day_at: datetime | None = None
    """When the limit of the next day can be used."""
    paired: int = 0
    """Due people who get another message of the number now, or got it a moment ago."""
    pair_at: datetime | None = None
    """When the first of them may get the next one."""
    left_in_portfolio: int | None = None
    """How many more people all campaigns together may send to now; None: there is no budget."""
    portfolio_at: datetime | None = None
    """When the first people stop counting."""
    portfolio: str | None = None
    """The figures of the budget."""
    canary_room: int | None = None
    """How many more people may get their first attempt before the canary is judged; None: all."""
    canary_at: datetime | None = None
    """When the canary is judged at the earliest, if it is known."""
    canary: str | None = None
    """The step of the canary and its figures."""
    excluded: str | None = None
    """The names of the campaigns whose recipients are left out."""
    frequency_cap: str | None = None
    """The frequency cap in words, if there is one."""
    retry_at: Mapping[WaitKind, datetime] | None = None
    """The earliest due time of a kind, where it is known."""


def explain(counters: Mapping[str, int], situation: Situation) -> list[WaitGroup]:
    """The groups of the recipients without a message. Their sum and the reached recipients are all recipients."""
    return [group for group in _groups(counters, situation) if group.recipients > 0]


def reached(counters: Mapping[str, int]) -> int:
    """The recipients with a message."""
    return sum(counters.get(f"status/{each}", 0) for each in REACHED)


def _groups(counters: Mapping[str, int], situation: Situation) -> Iterator[WaitGroup]:
    waits = {kind: counters.get(f"wait/{kind}", 0) for kind in WaitKind}
    unplanned = counters.get("status/pending", 0) - waits[WaitKind.PLANNED]
    in_flight = counters.get("status/queued", 0) - sum(waits[kind] for kind in _QUEUED)
    unknown = counters.get("status/unknown", 0) - waits[WaitKind.REQUESTED_UNKNOWN]
    retried = waits[WaitKind.REQUESTED] + waits[WaitKind.BACKOFF] + waits[WaitKind.HELD_BACK]
    yield WaitGroup(WaitReason.IN_FLIGHT, in_flight)
    yield WaitGroup(WaitReason.UNKNOWN, unknown)
    yield WaitGroup(WaitReason.FAILED, counters.get("status/failed", 0) - retried)
    for key, reason in SKIPS.items():
        detail = situation.excluded if reason is WaitReason.EXCLUDED else None
        yield WaitGroup(reason, counters.get(f"skip/{key}", 0), None, detail)
    whole = _whole(situation)
    if whole is not None:
        reason, next_at, detail = whole
        yield WaitGroup(reason, unplanned + sum(waits.values()), next_at, detail)
        return
    yield WaitGroup(WaitReason.PLANNING, unplanned, situation.now)
    known = situation.retry_at or {}
    yield WaitGroup(WaitReason.BACKOFF, waits[WaitKind.BACKOFF], known.get(WaitKind.BACKOFF))
    yield WaitGroup(WaitReason.HELD_BACK, waits[WaitKind.HELD_BACK], known.get(WaitKind.HELD_BACK))
    capped_until = known.get(WaitKind.FREQUENCY_CAP)
    yield WaitGroup(WaitReason.FREQUENCY_CAP, waits[WaitKind.FREQUENCY_CAP], capped_until, situation.frequency_cap)
    beyond = 0 if situation.canary_room is None else max(0, waits[WaitKind.PLANNED] - situation.canary_room)
    yield from _ready(sum(n for kind, n in waits.items() if kind not in OWN_TIMES), beyond, counters, situation)


def _whole(situation: Situation) -> tuple[WaitReason, datetime | None, str | None] | None:
    """What holds everybody who waits, whatever they wait for themselves."""
    match situation.status:
        case CampaignStatus.DRAFT:
            return WaitReason.DRAFT, None, None
        case CampaignStatus.PAUSED:
            return WaitReason.PAUSED, None, situation.pause_reason
        case CampaignStatus.CANCELLED:
            return WaitReason.CANCELLED, None, None
    if situation.start_at is not None and situation.start_at > situation.now:
        return WaitReason.WAITING_FOR_START, situation.start_at, None
    return None


def _ready(ready: int, beyond: int, counters: Mapping[str, int], situation: Situation) -> Iterator[WaitGroup]:
    """Those that would be released now, if the campaign may send to them. `beyond`: those outside the canary."""
    if situation.breakers:
        yield WaitGroup(WaitReason.BREAKER, ready, situation.probe_at, ", ".join(situation.breakers))
        return
    opens_at = situation.opens_at or {}
    counts = {country: counters.get(f"window/{country}", 0) for country in opens_at} if situation.follows else {}
    others = ready - sum(counts.values())  # those of no country, and all of a campaign that follows its own clock
    counts[""] = counts.get("", 0) + others
    closed = {each: n for each, n in counts.items() if not _is_open(opens_at.get(each), situation.now)}
    never = {each: n for each, n in closed.items() if opens_at.get(each) is None}
    later = {each: n for each, n in closed.items() if each not in never}
    yield WaitGroup(WaitReason.NEVER_OPEN, sum(never.values()), None, _names(never))
    times = [at for each, n in later.items() if n > 0 and (at := opens_at[each]) is not None]
    yield WaitGroup(WaitReason.OUTSIDE_WINDOW, sum(later.values()), min(times, default=None), _names(later))
    free = ready - sum(closed.values())
    held = min(free, beyond)
    yield WaitGroup(WaitReason.CANARY, held, situation.canary_at, situation.canary)
    free -= held
    left = free if situation.left_today is None else max(0, min(free, situation.left_today))
    in_turn = left if situation.left_in_portfolio is None else min(left, situation.left_in_portfolio)
    paired = min(in_turn, situation.paired)
    yield WaitGroup(WaitReason.IN_TURN, in_turn - paired, situation.now)
    yield WaitGroup(WaitReason.PAIR_LIMIT, paired, situation.pair_at)
    yield WaitGroup(WaitReason.PORTFOLIO_BUDGET, left - in_turn, situation.portfolio_at, situation.portfolio)
    yield WaitGroup(WaitReason.DAILY_LIMIT, free - left, situation.next_day_at)


def _is_open(opens_at: datetime | None, now: datetime) -> bool:
    return opens_at is not None and opens_at <= now


def _names(counts: Mapping[str, int]) -> str | None:
    return ", ".join(sorted(each for each, n in counts.items() if each and n > 0)) or None
