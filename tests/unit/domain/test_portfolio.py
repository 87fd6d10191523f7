"""The budget of the portfolio: its figures, and the law that no 24 hours have posts to more people than the budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.portfolio import BUCKETS, PortfolioBudget, PortfolioUse, lower_limit, portfolio_text

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
