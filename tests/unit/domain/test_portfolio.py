"""The budget of the portfolio: its figures, and the law that no 24 hours have posts to more people than the budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.portfolio import (
    BUCKETS,
    BudgetOutlook,
    PortfolioBudget,
    PortfolioUse,
    lower_limit,
    people_before,
    portfolio_text,
)

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)
BUDGET = PortfolioBudget(5)
MOMENTS = st.integers(0, 365 * 86_400_000).map(lambda ms: NOON + timedelta(milliseconds=ms))


@pytest.mark.parametrize(
    ("ours", "reported", "limit"), [(2000, None, 2000), (2000, 250, 250), (250, 2000, 250), (2000, -1, 2000)]
)
def test_the_lower_limit_holds(ours: int, reported: int | None, limit: int) -> None:
    assert lower_limit(ours, reported) == limit


def test_what_is_left() -> None:
    use = PortfolioUse(250, None, None, 200, NOON)
    assert (use.limit, use.left, portfolio_text(use)) == (250, 50, "200 of 250 people in 24 hours")
    over = PortfolioUse(250, 100, NOON, 200, NOON)
    assert (over.limit, over.left) == (100, 0)
    none = PortfolioUse(None, 100, NOON, 0, None)
    assert (none.limit, none.left, portfolio_text(none)) == (None, None, None)


@given(MOMENTS, st.sampled_from([1.0, 100.0, 86_400.0]))
def test_a_moment_is_in_its_bucket_and_counts_until_it_is_free(at: datetime, window_s: float) -> None:
    budget = PortfolioBudget(1, window_s)
    bucket, length = budget.bucket_of(at), timedelta(seconds=window_s / BUCKETS)
    tick = timedelta(milliseconds=1)
    assert bucket - tick <= at < bucket + length + tick
    assert at < budget.post_before(bucket)
    assert budget.counts_after(budget.free_at(bucket) - tick) < bucket
    assert budget.counts_after(budget.free_at(bucket) + tick) > bucket


@given(st.lists(st.tuples(st.integers(0, 3 * 1440), st.integers(0, 14), st.integers(0, 9)), max_size=60))
def test_no_window_has_posts_to_more_people_than_the_budget(releases: list[tuple[int, int, int]]) -> None:
    """People are released when there is room, as `tables.portfolio` charges them, and posted as late as they may be."""
    buckets: dict[int, datetime] = {}
    posts: list[tuple[datetime, int]] = []
    for minute, delay, person in sorted(releases):
        now = NOON + timedelta(minutes=minute)
        counting = {each for each, bucket in buckets.items() if bucket > BUDGET.counts_after(now)}
        if len(counting) >= BUDGET.people_max:
            continue
        bucket = BUDGET.bucket_of(now)
        buckets[person] = bucket
        posted_at = now + timedelta(minutes=delay)
        if posted_at < BUDGET.post_before(bucket):
            posts.append((posted_at, person))
    for start, _ in posts:
        assert len({person for at, person in posts if start <= at < start + DAY}) <= BUDGET.people_max


BUCKET_PEOPLE = st.lists(
    st.tuples(st.integers(0, BUCKETS - 1), st.integers(1, 4)), max_size=5, unique_by=lambda b: b[0]
)


@given(st.integers(1, 8), BUCKET_PEOPLE, st.integers(1, 40))
def test_the_outlook_is_what_a_play_of_single_messages_gives(
    people_max: int, counted: list[tuple[int, int]], people: int
) -> None:
    budget = PortfolioBudget(people_max, 288.0)  # a bucket is a second
    now = budget.bucket_of(NOON)
    buckets = [(now - timedelta(seconds=age), n) for age, n in sorted(counted, reverse=True)]
    at, counting = now, sorted(budget.free_at(began_at) for began_at, n in buckets for _ in range(n))
    for _ in range(people):
        while len(counting) >= people_max:
            at = max(at, counting.pop(0))
        counting.append(at + budget.period)
        counting.sort()
    assert BudgetOutlook.of(budget, buckets).lets_through(people, now) == at


@given(st.integers(0, 50), st.integers(0, 50))
def test_more_people_never_come_earlier(first: int, second: int) -> None:
    outlook = BudgetOutlook.of(PortfolioBudget(5), [(NOON - DAY / 2, 3)])
    few, many = sorted((first, second))
    earlier, later = outlook.lets_through(few, NOON), outlook.lets_through(many, NOON)
    assert earlier is not None
    assert later is not None
    assert earlier <= later


def test_a_budget_of_nobody_lets_nobody_through_and_an_end_beyond_every_calendar_is_none() -> None:
    assert BudgetOutlook(0, (), DAY).lets_through(1, NOON) is None
    assert BudgetOutlook(1, (), DAY).lets_through(10**9, NOON) is None


@pytest.mark.parametrize(
    ("waiting", "others", "people"), [(10, [], 10), (10, [3, 100], 23), (0, [5], 0), (10, [10, 10], 30)]
)
def test_campaigns_share_the_budget_evenly(waiting: int, others: list[int], people: int) -> None:
    assert people_before(waiting, others) == people
