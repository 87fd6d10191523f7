"""Plans: a table of campaigns, and the laws that no day exceeds a limit and that nobody is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.portfolio import PortfolioBudget
from domain.sending_plan import PlanInput, make_plan
from domain.windows import WEEK, WHOLE_DAY, make_window

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)  # a Thursday
DAYTIME = make_window(WEEK, "09:00", "20:00")
OFFICE = make_window(["mon", "tue", "wed", "thu", "fri"], "10:00", "12:30")
USUAL = PlanInput(NOON, 1000, 10.0, WHOLE_DAY, "UTC")


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "days", "ends_at", "limits"),
    [
        ({}, [1000], at(26, 12, 1, 40), []),
        ({"recipients": 0}, [], NOON, []),
        ({"start_at": at(27, 8)}, [1000], at(27, 8, 1, 40), ["start"]),
        ({"start_at": at(20, 8)}, [1000], at(26, 12, 1, 40), []),
        ({"daily_limit": 400}, [400, 400, 200], at(28, 0, 0, 20), ["daily_limit"]),
        ({"daily_limit": 400, "used_today": 300}, [100, 400, 400, 100], at(29, 0, 0, 10), ["daily_limit"]),
        ({"daily_limit": 400, "window": DAYTIME}, [400, 400, 200], at(28, 9, 0, 20), ["window", "daily_limit"]),
        ({"window": OFFICE, "per_s": 0.5}, [900, 100], at(27, 10, 3, 20), ["window"]),
        ({"canary": 100, "canary_people": 100, "canary_wait_s": 600.0}, [1000], at(26, 12, 13, 40), ["canary"]),
        ({"canary": 5000, "canary_people": 5000, "canary_wait_s": 600.0}, [1000], at(26, 12, 1, 40), []),
        ({"budget": PortfolioBudget(600)}, [600, 400], at(27, 12, 15, 40), ["portfolio_budget"]),
        ({"budget": PortfolioBudget(600), "counted": [(at(25, 13), 500)]}, [600, 400], at(27, 13, 30, 30),
         ["portfolio_budget"]),
    ],
)  # fmt: skip
def test_the_days_and_the_end(changed: dict[str, Any], days: list[int], ends_at: datetime, limits: list[str]) -> None:
    found = make_plan(replace(USUAL, **changed))
    assert [each.recipients for each in found.days] == days
    assert (found.ends_at, found.left, list(found.limits)) == (ends_at, 0, limits)


def test_a_plan_of_more_than_a_year_has_no_end() -> None:
    found = make_plan(replace(USUAL, recipients=10_000, daily_limit=10))
    assert (found.ends_at, found.left, len(found.days)) == (None, 10_000 - 366 * 10, 366)
    assert make_plan(replace(USUAL, start_at=at(26, 12) + timedelta(days=400))).left == 0


def test_a_day_is_one_of_the_time_zone() -> None:
    found = make_plan(replace(USUAL, time_zone="Asia/Tokyo", daily_limit=600))
    assert [each.day for each in found.days] == [date(2026, 11, 26), date(2026, 11, 27)]
    assert found.ends_at == at(26, 15, 0, 40), "midnight in Tokyo"


def test_a_short_window_of_a_fast_demo_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.sending_plan.STEPS_MAX", 1000)
    found = make_plan(replace(USUAL, recipients=10_000, budget=PortfolioBudget(100, 0.01)))
    assert found.ends_at is None
    assert found.left > 0


@settings(max_examples=60)
@given(
    st.integers(0, 20_000),
    st.sampled_from([0.5, 10.0, 80.0]),
    st.sampled_from([WHOLE_DAY, DAYTIME, OFFICE]),
    st.sampled_from(["UTC", "America/Sao_Paulo", "Asia/Kathmandu"]),
    st.one_of(st.none(), st.integers(1, 5000)),
    st.integers(0, 5000),
    st.one_of(st.none(), st.integers(1, 3000)),
    st.one_of(st.none(), st.integers(1, 500)),
)
def test_nobody_is_lost_and_no_day_exceeds_a_limit(
    recipients: int, per_s: float, window: Any, zone: str, limit: int | None, used: int, people: int | None,
    canary: int | None,
) -> None:  # fmt: skip
    budget = None if people is None else PortfolioBudget(people)
    plan = PlanInput(
        NOON, recipients, per_s, window, zone, daily_limit=limit, used_today=used, budget=budget, canary=canary,
        canary_people=canary or 0, canary_wait_s=60.0,
    )  # fmt: skip
    found = make_plan(plan)
    assert sum(each.recipients for each in found.days) + found.left == recipients
    assert (found.ends_at is None) == (found.left > 0)
    for each in found.days:
        assert 0 < each.recipients <= per_s * 86_400 * 26 / 24
        assert limit is None or each.recipients <= limit
    for first, second in zip(found.days, found.days[1:], strict=False):
        assert first.day < second.day
        # Two days have at most two windows of 24 hours.
        assert people is None or first.recipients + second.recipients <= 3 * people
