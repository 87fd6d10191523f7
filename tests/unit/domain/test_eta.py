"""The estimated end of a campaign: a table of cases, and the laws of the estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.eta import DAYS_MAX, Pace, eta, handled_per_s
from domain.windows import WEEK, make_window

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
MIDNIGHT = NOON + timedelta(hours=12)
HOUR = timedelta(hours=1)
DAYTIME = make_window(WEEK, "09:00", "20:00")
WEEKEND = make_window(["sat", "sun"], "09:00", "20:00")


@pytest.mark.parametrize(
    ("status", "pending", "queued", "pace", "expected"),
    [
        ("draft", 100, 0, Pace(1.0), None),
        ("paused", 100, 0, Pace(1.0), None),
        ("completed", 0, 0, Pace(1.0), None),
        ("cancelled", 100, 0, Pace(1.0), None),
        ("active", 0, 0, Pace(1.0), None),
        ("active", 100, 0, Pace(None), None),
        ("active", 100, 0, Pace(0.0), None),
        ("active", 100, 0, Pace(-1.0), None),
        ("active", 100, 0, Pace(1.0), NOON + timedelta(seconds=100)),
        ("active", 90, 10, Pace(0.5), NOON + timedelta(seconds=200)),
        ("active", 1, 0, Pace(3.0), NOON + timedelta(seconds=1)),
        # without a limit it goes on over midnight
        ("active", 72_000, 0, Pace(1.0), NOON + 20 * HOUR),
        # the limit of today is enough, or is used up, or is enough for a part
        ("active", 100, 0, Pace(1.0, daily_limit=100), NOON + timedelta(seconds=100)),
        ("active", 100, 0, Pace(1.0, daily_limit=100, used_today=100), MIDNIGHT + timedelta(seconds=100)),
        ("active", 100, 0, Pace(1.0, daily_limit=100, used_today=60), MIDNIGHT + timedelta(seconds=60)),
        ("active", 101, 0, Pace(1.0, daily_limit=100), MIDNIGHT + timedelta(seconds=1)),
        ("active", 300, 0, Pace(1.0, daily_limit=100), MIDNIGHT + timedelta(days=1, seconds=100)),
        ("active", 301, 0, Pace(1.0, daily_limit=100), MIDNIGHT + timedelta(days=2, seconds=1)),
        # a limit that was lowered below what is used leaves nothing for today
        ("active", 100, 0, Pace(1.0, daily_limit=100, used_today=500), MIDNIGHT + timedelta(seconds=100)),
        # without a rate the days decide once today's limit is used and its outcomes are known
        ("active", 300, 0, Pace(None, daily_limit=100, used_today=100), MIDNIGHT + timedelta(days=2, seconds=1)),
        ("active", 300, 0, Pace(0.0, daily_limit=100, used_today=99), None),
        ("active", 300, 1, Pace(None, daily_limit=100, used_today=100), None),
        # a canary says nothing about the rest
        ("active", 300, 0, Pace(1.0, has_canary=True), None),
        # the queued ones are in the used part already
        ("active", 0, 100, Pace(1.0, daily_limit=100, used_today=100), NOON + timedelta(seconds=100)),
        ("active", 10, 90, Pace(1.0, daily_limit=100, used_today=100), MIDNIGHT + timedelta(seconds=10)),
        # the limit is higher than the rate allows: the days are full of work
        ("active", 72_000, 0, Pace(1.0, daily_limit=90_000), NOON + 20 * HOUR),
        # the days are those of the campaign's time zone: there it is one hour before midnight, or 20 hours
        ("active", 10, 0, Pace(1.0, "Pacific/Noumea", 5, 5), NOON + HOUR + timedelta(days=1, seconds=5)),
        ("active", 5, 0, Pace(1.0, "America/Halifax", 5, 5), NOON + 16 * HOUR + timedelta(seconds=5)),
        ("active", 5, 0, Pace(1.0, "Nowhere/Land", 5, 5), None),
        # the window closes at 20:00 and opens at 09:00
        ("active", 8 * 3600, 0, Pace(1.0, window=DAYTIME), NOON + 8 * HOUR),
        ("active", 8 * 3600 + 60, 0, Pace(1.0, window=DAYTIME), NOON + 21 * HOUR + timedelta(seconds=60)),
        ("active", 19 * 3600 + 60, 0, Pace(1.0, window=DAYTIME), NOON + 45 * HOUR + timedelta(seconds=60)),
        ("active", 10, 0, Pace(1.0, "Asia/Tokyo", window=DAYTIME), NOON + 12 * HOUR + timedelta(seconds=10)),
        ("active", 20, 0, Pace(1.0, "UTC", 10, 0, DAYTIME), NOON + 21 * HOUR + timedelta(seconds=10)),
        # 26 November 2026 is a Thursday
        ("active", 10, 0, Pace(1.0, window=WEEKEND), MIDNIGHT + 33 * HOUR + timedelta(seconds=10)),
        ("active", 3 * 11 * 3600, 0, Pace(1.0, window=WEEKEND), MIDNIGHT + timedelta(days=8, hours=20)),
        ("active", 40, 0, Pace(1.0, "UTC", 10, 0, WEEKEND), MIDNIGHT + timedelta(days=9, hours=9, seconds=10)),
        # it starts later
        ("active", 10, 0, Pace(1.0, start_at=NOON + HOUR), NOON + HOUR + timedelta(seconds=10)),
        ("active", 10, 0, Pace(1.0, start_at=NOON - HOUR), NOON + timedelta(seconds=10)),
        ("active", 10, 0, Pace(1.0, "UTC", 10, 10, start_at=MIDNIGHT), MIDNIGHT + timedelta(seconds=10)),
        # nobody needs an estimate of decades
        ("active", DAYS_MAX, 0, Pace(1, "UTC", 1, 1), MIDNIGHT + timedelta(days=DAYS_MAX - 1, seconds=1)),
        ("active", DAYS_MAX + 1, 0, Pace(1, "UTC", 1, 1), None),
        ("active", 10**15, 0, Pace(1.0), None),
    ],
)  # fmt: skip
def test_the_estimated_end(status: str, pending: int, queued: int, pace: Pace, expected: datetime | None) -> None:
    assert eta(status, pending, queued, pace, NOON) == expected


@pytest.mark.parametrize(
    ("handled", "seconds", "expected"), [(30, 60, 0.5), (0, 60, None), (-5, 60, None), (5, 0, None), (5, -1, None)]
)
def test_the_rate_of_the_last_minutes(handled: int, seconds: int, expected: float | None) -> None:
    assert handled_per_s(handled, NOON - timedelta(seconds=seconds), NOON) == expected


paces = st.builds(
    Pace,
    st.floats(0.001, 1000),
    st.sampled_from(["UTC", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo"]),
    st.none() | st.integers(1, 10_000),
    st.integers(0, 10_000),
)


@given(st.integers(0, 10_000), st.integers(0, 10_000), paces)
def test_an_estimate_is_in_the_future_and_no_limit_makes_it_earlier(pending: int, queued: int, pace: Pace) -> None:
    end = eta("active", pending, queued, pace, NOON)
    free = eta("active", pending, queued, Pace(pace.per_s), NOON)
    if end is not None:
        assert free is not None
        assert NOON < free <= end


@given(st.integers(1, 10_000), st.integers(0, 10_000), paces)
def test_one_recipient_more_makes_it_no_earlier(pending: int, queued: int, pace: Pace) -> None:
    ends = [eta("active", count, queued, pace, NOON) for count in (pending, pending + 1)]
    assert ends[1] is None or (ends[0] is not None and ends[0] <= ends[1])


SOON = NOON + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        (Pace(1.0, budget_at=NOON), SOON),
        (Pace(1.0, budget_at=NOON + timedelta(seconds=50)), SOON),
        (Pace(1.0, budget_at=NOON + 30 * HOUR), NOON + 30 * HOUR),
        # nothing is handled while the budget is used: it alone decides
        (Pace(None, budget_at=NOON + 30 * HOUR), NOON + 30 * HOUR),
        (Pace(None, budget_at=NOON), None),
        (Pace(0.0), None),
        # at that time the window is closed
        (Pace(1.0, window=DAYTIME, budget_at=NOON + 16 * HOUR), NOON + 21 * HOUR),
        (Pace(None, start_at=NOON + 40 * HOUR, budget_at=NOON + 30 * HOUR), NOON + 40 * HOUR),
        (Pace(None, "Nowhere/Land", budget_at=NOON + 30 * HOUR), None),
        (Pace(1.0, budget_at=NOON + timedelta(days=DAYS_MAX + 1)), None),
    ],
)
def test_the_budget_of_the_portfolio_can_only_make_it_later(pace: Pace, expected: datetime | None) -> None:
    assert eta("active", 100, 0, pace, NOON) == expected


@given(st.integers(1, 10**6), st.floats(0.01, 1000), st.integers(0, 10**7))
def test_an_end_with_a_budget_is_never_earlier(pending: int, rate: float, budget_s: int) -> None:
    without = eta("active", pending, 0, Pace(rate), NOON)
    found = eta("active", pending, 0, Pace(rate, budget_at=NOON + timedelta(seconds=budget_s)), NOON)
    if without is not None:
        assert found is not None
        assert found == max(without, NOON + timedelta(seconds=budget_s))
