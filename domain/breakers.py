"""When sending stops for a scope, and when it goes on: the breaker as a state machine. Pure.

A breaker belongs to one scope: a recipient pair, a template, a phone number, the account, or the endpoint (the server
that answers). Every outcome of a post says something about each of the five scopes: one `Signal` each (`signals_of` has
the table). A closed breaker counts signals and opens at a threshold, or at once. An open breaker holds every message of
its scope except one probe at a time. Only the outcome of a probe closes it. A breaker that Meta opened and that needs a
human sends no probe until an operator resets it.

Postgres keeps the state, and the SQL function `breaker_step` repeats `step`; a test compares both over generated
histories. The times are parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID


class Scope(StrEnum):
    """What a breaker stops. The order is that of the letters in a row of signals."""

    RECIPIENT = "recipient"
    """One phone number of ours and one person."""
    TEMPLATE = "template"
    """A template in one language."""
    NUMBER = "number"
    """One phone number of ours."""
    ACCOUNT = "account"
    """The access token, the app and the business account."""
    ENDPOINT = "endpoint"
    """The server at the address of the Cloud API: a proxy, a login page or an outage answers instead of it."""


class Signal(StrEnum):
    """What an outcome says about one scope. Postgres stores and reads the letters."""

    GOOD = "g"
    """The scope works."""
    NEUTRAL = "n"
    """The outcome says nothing about the scope."""
    BAD = "b"
    """An unknown or transient outcome that belongs to the scope."""
    FOREIGN = "f"
    """An answer that does not come from the Cloud API. It counts as bad too."""
    REQUEST = "r"
    """Meta refused the request itself. It counts for the trial of a campaign's template, not for the breaker."""
    OPEN = "o"
    """A code that stops the whole scope and passes without a human."""
    HUMAN = "h"
    """A code that stops the whole scope until a human has acted."""


STREAK_MAX = 5
"""So many bad signals in a row open a breaker."""
FOREIGN_MAX = 3
"""So many answers in a row that do not come from the Cloud API open a breaker."""
RECENT_SIZE, RECENT_BAD_MAX = 20, 10
"""So many bad signals among the last ones open a breaker."""
TRIAL_SENDS = 10
"""The first sends of a campaign: if each is refused with one code of the request, its template's breaker opens."""
RECOVERY_S = 60.0
"""Seconds from the closing of a breaker until its scope has its full rate again."""
RECOVERY_START = 0.05
"""Share of the rate right after the closing."""
HOLD_LIMIT_S = 86_400.0
"""A breaker that is open for longer pauses the campaigns of its scope."""

_RECENT_MASK = (1 << RECENT_SIZE) - 1


@dataclass(frozen=True, slots=True)
class ProbePauses:
    """Seconds until the first probe, and the most that the doubling pauses reach."""

    first_s: float = 5.0
    max_s: float = 300.0

    def scaled(self, time_scale: float) -> ProbePauses:
        """The same, shortened as tests and demos shorten days."""
        return ProbePauses(self.first_s / time_scale, self.max_s / time_scale)


@dataclass(frozen=True, slots=True)
class Probe:
    """The one message that an open breaker lets through, until its outcome or the end of its lease."""

    recipient_id: UUID
    attempt: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Breaker:
    """The state of one breaker. It is open while `opened_at` is set."""

    streak: int = 0
    foreign: int = 0
    recent: int = 0
    """The last 20 counted signals as bits, the newest lowest; 1 is bad."""
    opened_at: datetime | None = None
    reason: str | None = None
    code: int | None = None
    needs_human: bool = False
    pause_s: float = 0.0
    """Seconds between the last probe and the next. After the closing: the pause that the next opening doubles."""
    probe_at: datetime | None = None
    probe: Probe | None = None
    closed_at: datetime | None = None
    """When it last closed, while the rate of its scope recovers."""

    @property
    def is_open(self) -> bool:
        """Whether the scope is held."""
        return self.opened_at is not None


CLOSED = Breaker()


@dataclass(frozen=True, slots=True)
class ScopeSignal:
    """One signal about one scope, with the code and the reason that an opening shows."""

    signal: Signal
    code: int | None = None
    reason: str | None = None
    is_probe: bool = False
    """Whether the message was the probe of this breaker."""


def step(breaker: Breaker, observed: ScopeSignal, now: datetime, pauses: ProbePauses) -> Breaker:
    """The state after one signal."""
    if breaker.is_open:
        return _step_open(breaker, observed, now, pauses)
    return _step_closed(breaker, observed, now, pauses)


def _step_closed(breaker: Breaker, observed: ScopeSignal, now: datetime, pauses: ProbePauses) -> Breaker:
    match observed.signal:
        case Signal.NEUTRAL | Signal.REQUEST:
            return breaker
        case Signal.GOOD:
            return replace(breaker, streak=0, foreign=0, recent=(breaker.recent << 1) & _RECENT_MASK)
        case Signal.OPEN | Signal.HUMAN:
            return _opened(breaker, observed, now, pauses)
        case Signal.BAD | Signal.FOREIGN:
            counted = replace(
                breaker,
                streak=breaker.streak + 1,
                foreign=breaker.foreign + (observed.signal is Signal.FOREIGN),
                recent=(breaker.recent << 1 | 1) & _RECENT_MASK,
            )
            return _opened(counted, observed, now, pauses) if is_too_bad(counted) else counted


def is_too_bad(breaker: Breaker) -> bool:
    """Whether the counted signals open the breaker."""
    return (
        breaker.streak >= STREAK_MAX or breaker.foreign >= FOREIGN_MAX or breaker.recent.bit_count() >= RECENT_BAD_MAX
    )


def _opened(breaker: Breaker, observed: ScopeSignal, now: datetime, pauses: ProbePauses) -> Breaker:
    is_relapse = breaker.closed_at is not None and (now - breaker.closed_at).total_seconds() < RECOVERY_S
    pause_s = _longer(breaker.pause_s, pauses) if is_relapse else pauses.first_s
    return Breaker(
        opened_at=now,
        reason=observed.reason,
        code=observed.code,
        needs_human=observed.signal is Signal.HUMAN,
        pause_s=pause_s,
        probe_at=now + timedelta(seconds=pause_s),
    )


def _step_open(breaker: Breaker, observed: ScopeSignal, now: datetime, pauses: ProbePauses) -> Breaker:
    if observed.is_probe and observed.signal is Signal.GOOD:
        return Breaker(pause_s=breaker.pause_s, closed_at=now)
    if observed.signal is Signal.HUMAN and not breaker.needs_human:
        breaker = replace(breaker, needs_human=True, code=observed.code, reason=observed.reason)
    if not observed.is_probe:
        return breaker
    pause_s = breaker.pause_s if observed.signal is Signal.NEUTRAL else _longer(breaker.pause_s, pauses)
    return replace(breaker, pause_s=pause_s, probe_at=now + timedelta(seconds=pause_s), probe=None)


def _longer(pause_s: float, pauses: ProbePauses) -> float:
    return min(pauses.max_s, max(pauses.first_s, 2 * pause_s))


# ------------------------------------------------------------------------------------------------------------- probes


def permits_probe(breaker: Breaker, now: datetime) -> bool:
    """Whether an open breaker lets one message through now."""
    is_free = breaker.probe is None or breaker.probe.until < now
    return not breaker.needs_human and breaker.probe_at is not None and breaker.probe_at <= now and is_free


def holds(breaker: Breaker, recipient_id: UUID, attempt: int) -> bool:
    """Whether this attempt must not be posted."""
    probe = breaker.probe
    return breaker.is_open and (probe is None or (probe.recipient_id, probe.attempt) != (recipient_id, attempt))


# ---------------------------------------------------------------------------------------------------------- operators


def reset(breaker: Breaker, now: datetime) -> Breaker:
    """An operator states that the cause is gone: a probe may go out at once. Only its outcome closes the breaker."""
    if not breaker.is_open:
        return breaker
    return replace(breaker, needs_human=False, pause_s=0.0, probe_at=now, opened_at=now)


def recovered_share(closed_at: datetime | None, now: datetime) -> float:
    """The share of its rate that a scope may use after its breaker closed: it grows to 1 within `RECOVERY_S`."""
    if closed_at is None:
        return 1.0
    share = RECOVERY_START + (1 - RECOVERY_START) * (now - closed_at).total_seconds() / RECOVERY_S
    return min(1.0, max(RECOVERY_START, share))


# -------------------------------------------------------------------------------------------------- the first ten sends


@dataclass(frozen=True, slots=True)
class Trial:
    """The first sends of a campaign, while each was refused with the same code of the request."""

    refused: int = 0
    code: int | None = None
    is_over: bool = False
    """A message was accepted, or refused with another code: the template itself works."""


def try_template(trial: Trial, signal: Signal, code: int | None) -> tuple[Trial, bool]:
    """The trial after one signal about the template, and whether it opens the template's breaker."""
    if trial.is_over or signal not in (Signal.GOOD, Signal.REQUEST):
        return trial, False
    if signal is Signal.GOOD or (trial.refused > 0 and trial.code != code):
        return Trial(is_over=True), False
    refused = trial.refused + 1
    if refused == TRIAL_SENDS:
        return Trial(), True
    return Trial(refused, code), False


SCOPES: tuple[Scope, ...] = tuple(Scope)


def letters(signals: Mapping[Scope, Signal]) -> str:
    """The signals of one outcome as five letters, in the order of `Scope`. A missing scope is neutral."""
    return "".join(signals.get(scope, Signal.NEUTRAL).value for scope in SCOPES)
