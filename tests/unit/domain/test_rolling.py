"""The figures of the latest people: when a window ends, and what stops a campaign after its canary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.rolling import PEOPLE_MIN, RULES, WINDOW_PEOPLE, RollingWindow, open_windows, roll
from domain.shares import CampaignFigures, Measure, ShareLimits

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LIMITS = ShareLimits()
HEALTHY = CampaignFigures(10_000, failed=300, opted_out=20, blocked=100, unknown=5)
STARTED = open_windows(HEALTHY, HEALTHY, NOON)


def _later(**more: int) -> CampaignFigures:
    return CampaignFigures(**{name: getattr(HEALTHY, name) + more.get(name, 0) for name in CampaignFigures.__slots__})


@pytest.mark.parametrize(
    ("more", "measure"),
    [
        ({"handled": 1000, "failed": 40}, None),
        ({"handled": 1000, "failed": 400}, Measure.FAILED),
        ({"handled": 1000, "opted_out": 120}, Measure.OPTED_OUT),
        ({"handled": 1000, "blocked": 400}, Measure.BLOCKED),
        ({"handled": 1000, "unknown": 200}, Measure.UNKNOWN),
        ({"handled": PEOPLE_MIN, "failed": 100}, Measure.FAILED),
        ({"handled": PEOPLE_MIN - 1, "failed": 100}, None),
        ({"handled": 0, "opted_out": 400}, None),  # late answers of a campaign that sends nothing now
    ],
)
def test_what_stops_a_campaign(more: dict[str, int], measure: Measure | None) -> None:
    _, found = roll(STARTED, _later(**more), LIMITS, NOON + timedelta(minutes=1))
    assert (found.measure if found else None) == measure


def test_a_healthy_past_does_not_hide_a_bad_present() -> None:
    """A million good messages, and then a template that Meta begins to refuse."""
    windows, figures, now = open_windows(CampaignFigures(), CampaignFigures(), NOON), CampaignFigures(), NOON
    for _ in range(20):
        figures = CampaignFigures(figures.handled + 50_000, failed=figures.failed + 500)
        now += timedelta(minutes=10)
        windows, found = roll(windows, figures, LIMITS, now)
        assert found is None
    assert roll(windows, CampaignFigures(figures.handled + 20_000, figures.failed + 15_000), LIMITS, now)[1] is not None


def test_late_opt_outs_are_measured_with_their_messages() -> None:
    """All of a day is sent in a minute, and 1 % opts out over the night. A few messages in the morning stop nothing."""
    windows, now = open_windows(CampaignFigures(), CampaignFigures(), NOON), NOON
    figures = CampaignFigures(5000)
    for hours in range(1, 20):
        figures = CampaignFigures(5000, opted_out=min(50, 5 * hours))
        windows, found = roll(windows, figures, LIMITS, now + timedelta(hours=hours))
        assert found is None
    assert roll(windows, CampaignFigures(5300, opted_out=51), LIMITS, now + timedelta(hours=20))[1] is None


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    ("share_of_time", "people", "is_over"),
    [(1.0, WINDOW_PEOPLE, True), (0.9, WINDOW_PEOPLE, False), (5.0, WINDOW_PEOPLE - 1, False)],
)
def test_a_window_ends_after_its_time_and_its_people(
    name: str, share_of_time: float, people: int, is_over: bool
) -> None:
    figures, now = _later(handled=people), NOON + timedelta(seconds=share_of_time * RULES[name].seconds)
    rolled, _ = roll(STARTED, figures, LIMITS, now)
    assert rolled[name] == (RollingWindow(HEALTHY, figures, now) if is_over else STARTED[name])


@given(st.builds(CampaignFigures, *[st.integers(0, 5000)] * 5), st.integers(1, 500), st.sampled_from(
    ["failed", "opted_out", "blocked", "unknown"]))  # fmt: skip
def test_worse_figures_never_go_on(figures: CampaignFigures, more: int, name: str) -> None:
    worse = CampaignFigures(
        **{each: getattr(figures, each) + (more if each == name else 0) for each in CampaignFigures.__slots__}
    )
    if roll(STARTED, figures, LIMITS, NOON)[1] is not None:
        assert roll(STARTED, worse, LIMITS, NOON)[1] is not None
