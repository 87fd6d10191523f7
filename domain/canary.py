"""How many people a campaign may send to before the outcomes of the first ones are known: the canary. Pure.

A campaign sends to its first people, waits for their outcomes, and goes on in steps that grow fourfold. A step is
judged by the shares of `domain.shares` over all people since the activation, or since a person resumed the campaign
after its figures had stopped it. Only outcomes count: a message that is accepted and not delivered yet is in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.shares import CampaignFigures, Excess, ShareLimits, excess

GROWTH = 4
"""Each step reaches four times as many people in total."""
AUDIENCE_MIN = 10
"""A campaign has a canary if it has ten times the people of the smallest one: a canary must be a small part of it."""
LATER_WAIT = 0.2
"""Share of the waiting time that the steps after the first one wait: earlier outcomes keep coming meanwhile."""
OUTCOMES_MIN = 0.8
"""Share of the people of a step whose outcome must be known before it is judged."""


@dataclass(frozen=True, slots=True)
class CanarySize:
    """The size of the first step."""

    percent: float = 1.0
    """Share of the audience."""
    least: int = 50
    most: int = 500
    """It also limits `least`."""

    def people(self, audience: int) -> int | None:
        """The people of the first step; None: the audience is too small for a canary."""
        if audience < AUDIENCE_MIN * self.least:
            return None
        return min(self.most, max(self.least, round(audience * self.percent / 100)))


@dataclass(frozen=True, slots=True)
class Canary:
    """The present step of a campaign."""

    step: int = 0
    """0: no step has begun."""
    allowed: int | None = None
    """So many people may get their first attempt in all steps together; None: all of them."""
    released: int = 0
    """So many have got it."""
    filled_at: datetime | None = None
    """Since when nobody else of the step waits for the first attempt."""
    base: CampaignFigures = field(default_factory=CampaignFigures)
    """The figures when the first step began. What happened before is not judged."""

    @property
    def is_on(self) -> bool:
        """Whether it limits the campaign."""
        return self.allowed is not None

    @property
    def room(self) -> int | None:
        """How many more people may get their first attempt now; None: all."""
        return None if self.allowed is None else max(0, self.allowed - self.released)


@dataclass(frozen=True, slots=True)
class CanaryDecision:
    """The canary from now on. With `excess` the campaign must be paused."""

    canary: Canary
    excess: Excess | None = None


def begin(size: CanarySize, audience: int, figures: CampaignFigures) -> Canary:
    """The first step of an activated campaign, or of one that a person resumed after its figures had stopped it."""
    people = size.people(audience)
    return Canary(step=0 if people is None else 1, allowed=people, base=figures)


def judge_at(canary: Canary, wait_s: float) -> datetime | None:
    """When the step is judged at the earliest; None: it is not fully released yet."""
    if not canary.is_on or canary.filled_at is None:
        return None
    return canary.filled_at + timedelta(seconds=wait_s if canary.step == 1 else wait_s * LATER_WAIT)


def decide(
    canary: Canary, figures: CampaignFigures, waiting: int, limits: ShareLimits, now: datetime, wait_s: float,
    known_until: datetime | None = None,
) -> CanaryDecision:  # fmt: skip
    """Judge the step. `waiting`: the people without a first attempt. `wait_s`: how long the first step waits.

    `known_until`: all webhooks up to then are in the figures; None: nothing is known to be late. A step waits until the
    webhooks of its waiting time are applied, because a failure that is on its way must not be missed.

    A step that cannot end well any more is stopped at once: even if all others of it were in order, a share would be
    above its limit.
    """
    if canary.allowed is None:
        return CanaryDecision(canary)
    found = figures.since(canary.base)
    if (over := excess(found, limits, max(found.handled, canary.allowed))) is not None:
        return CanaryDecision(canary, over)
    if waiting == 0:
        return CanaryDecision(replace(canary, allowed=None, filled_at=None))
    if canary.released < canary.allowed:
        return CanaryDecision(replace(canary, filled_at=None))
    if canary.filled_at is None:
        return CanaryDecision(replace(canary, filled_at=now))
    due_at = judge_at(canary, wait_s)
    if due_at is None or min(now, known_until or now) < due_at or found.handled < OUTCOMES_MIN * canary.released:
        return CanaryDecision(canary)
    if (over := excess(found, limits, found.handled)) is not None:
        return CanaryDecision(canary, over)
    allowed = GROWTH * canary.allowed
    is_last = allowed >= canary.released + waiting
    return CanaryDecision(replace(canary, step=canary.step + 1, allowed=None if is_last else allowed, filled_at=None))
