"""Shares of people: the figures from counters, a table of what is too many, and the laws of the bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shares import (
    BAD_MIN,
    CampaignFigures,
    Excess,
    Measure,
    ShareLimits,
    excess,
    figures_of,
    pause_reason,
    surely,
)
from schemas.reasons import PauseReason

LIMITS = ShareLimits()
NUMBERS = st.integers(0, 2000)


def test_the_figures_come_from_the_counters() -> None:
    counters = {
        "status/pending": 900, "status/queued": 5, "status/skipped": 3, "status/sent": 10, "status/delivered": 20,
        "status/read": 5, "status/failed": 12, "status/unknown": 2, "failure/131049": 4, "failure/131050": 1,
        "failure/131026": 7, "funnel/opted_out": 6,
    }  # fmt: skip
    assert figures_of(counters) == CampaignFigures(handled=49, failed=7, blocked=5, unknown=2, opted_out=6)


@pytest.mark.parametrize(
    ("figures", "people", "measure"),
    [
        (CampaignFigures(50), 50, None),
        (CampaignFigures(50, failed=2), 50, None),
        (CampaignFigures(50, failed=10), 50, None),  # 20 % of 50 people may be 12 % of everybody
        (CampaignFigures(50, failed=14), 50, Measure.FAILED),
        (CampaignFigures(50, failed=50), 50, Measure.FAILED),
        (CampaignFigures(50, opted_out=2), 50, None),
        (CampaignFigures(50, opted_out=6), 50, Measure.OPTED_OUT),  # 12 %
        (CampaignFigures(500, opted_out=10), 500, None),  # exactly at the limit
        (CampaignFigures(500, opted_out=60), 500, Measure.OPTED_OUT),
        (CampaignFigures(50, blocked=20), 50, Measure.BLOCKED),  # 40 % of 131049
        (CampaignFigures(50, blocked=7), 50, None),
        (CampaignFigures(50, unknown=2), 50, None),
        (CampaignFigures(50, unknown=8), 50, Measure.UNKNOWN),
        (CampaignFigures(2, failed=2), 2, None),  # all of two people
        (CampaignFigures(50, failed=30, opted_out=9), 50, Measure.OPTED_OUT),
    ],
)
def test_what_is_too_many(figures: CampaignFigures, people: int, measure: Measure | None) -> None:
    found = excess(figures, LIMITS, people)
    assert (found.measure if found else None) == measure


@given(NUMBERS, NUMBERS)
def test_the_bound_is_below_the_share_and_grows_with_it(bad: int, people: int) -> None:
    bound = surely(bad, people)
    assert 0 <= bound <= 100 * min(bad, people) / max(1, people)
    assert surely(bad + 1, people) >= bound


@given(st.integers(1, 200), st.integers(1, 50))
def test_the_bound_approaches_the_share_with_more_people(bad: int, times: int) -> None:
    assert surely(bad * times, 1000 * times) >= surely(bad, 1000)


@given(st.builds(CampaignFigures, *[NUMBERS] * 5), st.integers(1, 2000), st.sampled_from(Measure), st.integers(1, 500))
def test_worse_figures_are_never_better(figures: CampaignFigures, people: int, measure: Measure, more: int) -> None:
    name = {
        Measure.OPTED_OUT: "opted_out",
        Measure.FAILED: "failed",
        Measure.BLOCKED: "blocked",
        Measure.UNKNOWN: "unknown",
    }[measure]
    worse = replace(figures, **{name: getattr(figures, name) + more})
    if excess(figures, LIMITS, people) is not None:
        assert excess(worse, LIMITS, people) is not None


@given(st.builds(CampaignFigures, *[st.integers(0, BAD_MIN - 1)] * 5), st.integers(1, 10))
def test_two_people_never_stop_a_campaign(figures: CampaignFigures, people: int) -> None:
    assert excess(figures, LIMITS, people) is None


@given(st.builds(CampaignFigures, *[NUMBERS] * 5), st.integers(1, 2000))
def test_limits_of_100_percent_stop_nothing(figures: CampaignFigures, people: int) -> None:
    assert excess(figures, ShareLimits(100, 100, 100, 100), people) is None


@given(st.builds(CampaignFigures, *[NUMBERS] * 5), st.builds(CampaignFigures, *[NUMBERS] * 5))
def test_a_difference_is_never_negative(now: CampaignFigures, earlier: CampaignFigures) -> None:
    assert all(now.since(earlier).bad(measure) >= 0 for measure in Measure)
    assert now.since(CampaignFigures()) == now


@pytest.mark.parametrize("measure", Measure)
def test_a_pause_states_its_code_figures_and_advice(measure: Measure) -> None:
    code, reason = pause_reason(Excess(measure, 6, 50, 2.0))
    assert code in PauseReason
    assert reason.startswith(f"{code}: 6 of 50 people (12.0 %)")
    assert "the limit is 2 %" in reason
    assert len(reason) <= 400
