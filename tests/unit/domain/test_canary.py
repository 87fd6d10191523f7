"""The canary: the size of its first step, a table of decisions, and the laws over whole runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.canary import GROWTH, Canary, CanaryDecision, CanarySize, begin, decide, judge_at
from domain.shares import CampaignFigures, Measure, ShareLimits

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
WAIT_S = 600.0
WAITED = NOON + timedelta(seconds=WAIT_S)
LIMITS = ShareLimits()
FULL = Canary(step=1, allowed=50, released=50, filled_at=NOON)
FILLING = replace(FULL, released=40, filled_at=None)
LATER = replace(FULL, step=2, allowed=200, released=200)


@pytest.mark.parametrize(
    ("audience", "people"),
    [(0, None), (499, None), (500, 50), (5000, 50), (20_000, 200), (50_000, 500), (10_000_000, 500)],
)
def test_the_first_step_has_the_share_within_its_bounds(audience: int, people: int | None) -> None:
    assert CanarySize().people(audience) == people
    assert begin(CanarySize(), audience, CampaignFigures(1)) == Canary(
        1 if people else 0, people, base=CampaignFigures(1)
    )


def _decided(canary: Canary, figures: CampaignFigures, now: datetime = WAITED, waiting: int = 4950) -> CanaryDecision:
    return decide(canary, figures, waiting, LIMITS, now, WAIT_S)


@pytest.mark.parametrize(
    ("canary", "figures", "now", "expected"),
    [
        # Not released completely yet; the wait begins when it is.
        (FILLING, CampaignFigures(40), NOON, FILLING),
        (replace(FULL, filled_at=None), CampaignFigures(50), NOON, FULL),
        (FULL, CampaignFigures(50), WAITED - timedelta(seconds=1), FULL),
        # Healthy, and slow delivery is healthy: an accepted message has an outcome.
        (FULL, CampaignFigures(50, failed=2, opted_out=1), WAITED, Canary(2, 200, 50)),
        (LATER, CampaignFigures(200, failed=9), NOON + timedelta(seconds=120), Canary(3, 800, 200)),
        # Too few outcomes: a breaker or a closed window may hold the rest.
        (FULL, CampaignFigures(39), WAITED + timedelta(days=1), FULL),
        (FULL, CampaignFigures(40), WAITED, Canary(2, 200, 50)),
        # Limited again after somebody switched it off and on: what was sent meanwhile counts.
        (FULL, CampaignFigures(5000), WAITED, Canary(2, 200, 50)),
    ],
)  # fmt: skip
def test_the_next_state(canary: Canary, figures: CampaignFigures, now: datetime, expected: Canary) -> None:
    assert _decided(canary, figures, now) == CanaryDecision(expected)


@pytest.mark.parametrize(
    ("figures", "measure"),
    [
        (CampaignFigures(50, failed=50), Measure.FAILED),  # a wrong template, or dead numbers
        (CampaignFigures(50, opted_out=6), Measure.OPTED_OUT),
        (CampaignFigures(50, blocked=20), Measure.BLOCKED),
        (CampaignFigures(50, unknown=10), Measure.UNKNOWN),
    ],
)
@pytest.mark.parametrize("now", [NOON, WAITED])
def test_bad_figures_stop_it_at_once(figures: CampaignFigures, measure: Measure, now: datetime) -> None:
    decision = _decided(FULL, figures, now)
    assert decision.excess is not None
    assert decision.excess.measure is measure


def test_what_was_before_its_beginning_is_not_judged() -> None:
    old = CampaignFigures(1000, failed=400, opted_out=90)
    now = replace(old, handled=1050)
    assert _decided(replace(FULL, base=old), now).excess is None
    assert _decided(replace(FULL, base=old), replace(now, opted_out=96)).excess is not None


def test_it_ends_when_the_next_step_reaches_everybody() -> None:
    assert _decided(FULL, CampaignFigures(50), waiting=150).canary == Canary(2, None, 50)
    assert _decided(FULL, CampaignFigures(50), waiting=151).canary.allowed == GROWTH * 50
    assert _decided(FULL, CampaignFigures(50), NOON, waiting=0).canary == Canary(1, None, 50)


def test_a_campaign_without_a_canary_is_not_judged() -> None:
    assert _decided(Canary(), CampaignFigures(50, failed=50)) == CanaryDecision(Canary())
    assert Canary().room is None


@pytest.mark.parametrize(("canary", "at"), [
    (FULL, WAITED), (LATER, NOON + timedelta(minutes=2)), (replace(FULL, filled_at=None), None), (Canary(), None),
])  # fmt: skip
def test_when_a_step_is_judged(canary: Canary, at: datetime | None) -> None:
    assert judge_at(canary, WAIT_S) == at


@pytest.mark.parametrize(
    ("known_until", "widens"),
    [(None, True), (WAITED, True), (WAITED + timedelta(hours=1), True), (WAITED - timedelta(seconds=1), False)],
)
def test_a_step_is_judged_when_the_webhooks_of_its_wait_are_known(known_until: datetime | None, widens: bool) -> None:
    decided = decide(FULL, CampaignFigures(50), 4950, LIMITS, WAITED, WAIT_S, known_until)
    assert (decided.canary.step == FULL.step + 1) is widens


FIGURES = st.builds(CampaignFigures, st.integers(0, 300), *[st.integers(0, 60)] * 4)


@given(FIGURES, st.sampled_from(["failed", "opted_out", "blocked", "unknown"]), st.integers(1, 60), st.booleans())
def test_worse_figures_never_widen(figures: CampaignFigures, name: str, more: int, is_over: bool) -> None:
    now = WAITED if is_over else NOON
    worse = replace(figures, **{name: getattr(figures, name) + more})
    before, after = _decided(FULL, figures, now), _decided(FULL, worse, now)
    if before.excess is not None:
        assert after.excess is not None
    if after.excess is None:
        assert after == before


@given(st.integers(500, 20_000_000), st.integers(0, 3))
def test_a_healthy_campaign_reaches_everybody_in_few_steps(audience: int, per_hundred: int) -> None:
    canary, sent, steps = begin(CanarySize(), audience, CampaignFigures()), 0, 0
    at = NOON
    while canary.is_on:
        room = canary.room or 0
        sent, steps = min(audience, sent + room), steps + 1
        canary = replace(canary, released=canary.released + room)
        figures = CampaignFigures(sent, failed=per_hundred * sent // 100)
        canary = decide(canary, figures, audience - sent, LIMITS, at, WAIT_S).canary
        at += timedelta(seconds=WAIT_S)
        decision = decide(canary, figures, audience - sent, LIMITS, at, WAIT_S)
        assert decision.excess is None
        canary = decision.canary
    assert steps <= 9


@given(st.integers(500, 100_000), FIGURES, st.datetimes(timezones=st.just(UTC)))
def test_it_never_allows_more_before_a_judgement(audience: int, figures: CampaignFigures, now: datetime) -> None:
    canary = begin(CanarySize(), audience, CampaignFigures())
    decided = decide(canary, figures, audience, LIMITS, now, WAIT_S)
    assert decided.canary.allowed == canary.allowed
