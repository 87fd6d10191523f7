"""The judge of `make chaos` notices each violation of opt-outs, windows and budgets."""

from __future__ import annotations

from tests.chaos.laws import (
    LimitOfDay,
    Received,
    above_limit_of_day,
    above_portfolio,
    after_opt_out,
    outside_window,
)  # fmt: skip
from verdict.truth import TimeSpan

NOON = 1_779_969_600.0
"""12:00 of a day, UTC."""


def received(number: str, seconds: float) -> Received:
    return Received(number, NOON + seconds)


def test_a_post_a_minute_after_an_opt_out_is_found() -> None:
    posts = [received("1", 61), received("1", 63), received("2", 90)]
    assert after_opt_out(posts, {"1": NOON}, []) == ["a post 63.0 s after an opt-out"]
    assert after_opt_out(posts, {"1": NOON}, [TimeSpan(NOON + 50, NOON + 62)]) == [], "the network hung"


def test_a_post_in_a_closed_window_is_found() -> None:
    closed = [TimeSpan(NOON, NOON + 15)]
    posts = [received("1", 2), received("2", 3), received("3", 16)]
    assert outside_window(posts, closed, []) == ["a post 3.0 s after the window closed"]
    assert outside_window(posts, closed, [TimeSpan(NOON - 5, NOON + 1)]) == []


def test_a_post_above_the_limit_of_the_day_is_found() -> None:
    limits = [LimitOfDay(0, 2), LimitOfDay(NOON + 100, 3)]
    posts = [received(str(n), n) for n in range(3)]
    assert above_limit_of_day(posts, limits) == ["post 3 of 2026-05-28, the limit was 2"]
    assert above_limit_of_day([*posts[:2], received("3", 100)], limits) == []
    assert above_limit_of_day([*posts[:2], received("3", 43_200)], [limits[0]]) == [], "the next day"


def test_people_above_the_budget_of_the_portfolio_are_found() -> None:
    posts = [received("1", 0), received("2", 1), received("1", 2), received("3", 60), received("4", 62.5)]
    assert above_portfolio(posts, 2, 60) == ["3 people in 60 s, the budget was 2"]
    assert above_portfolio(posts, 3, 60) == []
