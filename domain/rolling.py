"""When a campaign is stopped by the figures of its latest people, after its canary. Pure.

Two windows are measured by differences of the counters. Failures come soon, so their window is short. Opt-outs come
when people read, so theirs is long. A window ends only after both its time and its people, and is judged from the
beginning of the one before, so that late outcomes are always measured with the messages that they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from domain.shares import CampaignFigures, Excess, Measure, ShareLimits, excess

PEOPLE_MIN = 200
"""With fewer new outcomes a window is not judged: late outcomes of earlier messages would be measured with too few."""
WINDOW_PEOPLE = 1000
"""A window has at least so many new outcomes."""


@dataclass(frozen=True, slots=True)
class WindowRule:
    """The shortest time of a window in seconds, and what is judged in it."""

    seconds: float
    measures: tuple[Measure, ...]


RULES: Mapping[str, WindowRule] = MappingProxyType(
    {
        "short": WindowRule(300.0, (Measure.FAILED, Measure.UNKNOWN)),
        "long": WindowRule(3600.0, (Measure.OPTED_OUT, Measure.BLOCKED)),
    }
)


@dataclass(frozen=True, slots=True)
class RollingWindow:
    """The figures at the beginning of the previous window, and of the present one."""

    previous: CampaignFigures
    present: CampaignFigures
    began_at: datetime
    """When the present window began."""


def open_windows(base: CampaignFigures, figures: CampaignFigures, now: datetime) -> dict[str, RollingWindow]:
    """The windows of a campaign whose canary ended, or that has none. `base`: the figures before its first people."""
    return {name: RollingWindow(base, figures, now) for name in RULES}


def roll(
    windows: Mapping[str, RollingWindow],
    figures: CampaignFigures,
    limits: ShareLimits,
    now: datetime,
    time_scale: float = 1.0,
) -> tuple[dict[str, RollingWindow], Excess | None]:
    """The windows from now on, and the share that stops the campaign, if one is surely above its limit."""
    rolled, found = dict(windows), None
    for name, rule in RULES.items():
        window = windows[name]
        latest = figures.since(window.previous)
        if found is None and latest.handled >= PEOPLE_MIN:
            found = excess(latest, limits, latest.handled, rule.measures)
        is_over = now >= window.began_at + timedelta(seconds=rule.seconds / time_scale)
        if is_over and figures.since(window.present).handled >= WINDOW_PEOPLE:
            rolled[name] = RollingWindow(window.present, figures, now)
    return rolled, found
