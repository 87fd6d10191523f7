"""How many of a campaign's people failed, opted out, were blocked or are unknown, and when that is too many. Pure.

Shares of few people are noise: 2 failures of 50 are not 4 % of everybody. So a share counts as too large only if even
its lower confidence bound is above the limit, and never because of fewer than three people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from types import MappingProxyType

from schemas.reasons import PauseReason

CERTAINTY = 1.96
"""Standard deviations of the lower bound. Of campaigns exactly at their limit, one judgement in 40 stops one."""
BAD_MIN = 3
"""So few people never stop a campaign."""
BLOCKING = ("131049", "131050")
"""Meta holds marketing back from the person, or the person has stopped marketing."""
_OUTCOMES = ("sent", "delivered", "read", "failed", "unknown")


class Measure(StrEnum):
    """What is measured."""

    OPTED_OUT = "opt_outs"
    FAILED = "failures"
    BLOCKED = "blocks"
    UNKNOWN = "unknowns"


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """People of a campaign by their outcome, since its activation."""

    handled: int = 0
    """Those with an outcome. A message that is accepted and not delivered yet has one: slow is not failed."""
    failed: int = 0
    blocked: int = 0
    """Those whose message failed because Meta or the person takes no marketing."""
    unknown: int = 0
    opted_out: int = 0

    def since(self, earlier: CampaignFigures) -> CampaignFigures:
        """The people who were added since. A retry can take back a failure, so no figure is below zero."""
        return CampaignFigures(*(max(0, now - was) for now, was in zip(astuple(self), astuple(earlier), strict=True)))

    def bad(self, measure: Measure) -> int:
        """The people that count against the limit of a measure."""
        match measure:
            case Measure.OPTED_OUT:
                return self.opted_out
            case Measure.FAILED:
                return self.failed
            case Measure.BLOCKED:
                return self.blocked
            case Measure.UNKNOWN:
                return self.unknown


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """The largest share of people, in percent, for each measure. 100 stops nothing."""

    failed: float = 15.0
    opted_out: float = 2.0
    blocked: float = 15.0
    unknown: float = 5.0

    def of(self, measure: Measure) -> float:
        """The limit of a measure, in percent."""
        return {
            Measure.OPTED_OUT: self.opted_out,
            Measure.FAILED: self.failed,
            Measure.BLOCKED: self.blocked,
            Measure.UNKNOWN: self.unknown,
        }[measure]


@dataclass(frozen=True, slots=True)
class Excess:
    """A share that is surely above its limit."""

    measure: Measure
    bad: int
    people: int
    limit: float
    """The limit in percent."""


_WORDS: Mapping[Measure, tuple[PauseReason, str, str]] = MappingProxyType(
    {
        Measure.OPTED_OUT: (
            PauseReason.TOO_MANY_OPT_OUTS,
            "opted out",
            "Check whether these people expect the message, and its text",
        ),
        Measure.FAILED: (
            PauseReason.TOO_MANY_FAILURES,
            "did not get their message, because it failed",
            "Read the causes with `campaigns failed`, and correct the template, the parameters or the list",
        ),
        Measure.BLOCKED: (
            PauseReason.TOO_MANY_BLOCKS,
            "are blocked, because Meta or they themselves refuse marketing",
            "Wait some days, and send to people who answer",
        ),
        Measure.UNKNOWN: (
            PauseReason.TOO_MANY_UNKNOWNS,
            "have an unknown outcome",
            "Read `campaigns unknown`, and check the connection to the Cloud API",
        ),
    }
)


def pause_reason(found: Excess) -> tuple[PauseReason, str]:
    """The code of a pause, and the reason in words: what happened, the figures, and what to do."""
    code, what, advice = _WORDS[found.measure]
    share = 100 * found.bad / found.people
    return code, (
        f"{code.value}: {found.bad:,} of {found.people:,} people ({share:.1f} %) {what}; "
        f"the limit is {found.limit:g} %. {advice}. A resume begins with a new canary."
    )


def figures_of(counters: Mapping[str, int]) -> CampaignFigures:
    """The figures of a campaign from its counters, by `dimension/key`."""
    blocked = sum(counters.get(f"failure/{code}", 0) for code in BLOCKING)
    return CampaignFigures(
        handled=sum(counters.get(f"status/{word}", 0) for word in _OUTCOMES),
        failed=counters.get("status/failed", 0) - blocked,
        blocked=blocked,
        unknown=counters.get("status/unknown", 0),
        opted_out=counters.get("funnel/opted_out", 0),
    )


def surely(bad: int, people: int) -> float:
    """The lower bound of the share in percent, if `bad` of so many people are bad (Wilson's interval)."""
    if bad <= 0 or people <= 0:
        return 0.0
    bad, squared = min(bad, people), CERTAINTY * CERTAINTY
    share = bad / people
    middle = share + squared / (2 * people)
    reach = CERTAINTY * math.sqrt(share * (1 - share) / people + squared / (4 * people * people))
    return 100 * (middle - reach) / (1 + squared / people)


def excess(
    figures: CampaignFigures, limits: ShareLimits, people: int, measures: Collection[Measure] = tuple(Measure)
) -> Excess | None:
    """The first share that is surely above its limit among so many people; None: all are in order."""
    for measure in Measure:
        bad = figures.bad(measure)
        if measure in measures and bad >= BAD_MIN and surely(bad, people) > limits.of(measure):
            return Excess(measure, bad, max(bad, people), limits.of(measure))
    return None
