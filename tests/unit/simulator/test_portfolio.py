"""The messaging limit of a portfolio: a person counts once, and a moving window never has more people than allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.portfolio import PortfolioLimit, tier_of

POSTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=60)
WINDOW_S = 100.0


def test_a_person_counts_once_from_the_newest_message_on() -> None:
    limit = PortfolioLimit(2, WINDOW_S)
    assert [limit.allows(*each) for each in [("a", 0), ("b", 1), ("c", 2), ("a", 50)]] == [True, True, False, True]
    assert not limit.allows("c", 100.5)  # b left the window at 101, and a stays until 150
    assert limit.allows("c", 101)
    assert not limit.allows("d", 149)
    assert limit.allows("d", 150)


@given(POSTS, st.integers(1, 4))
def test_no_window_has_more_people_than_the_limit_and_a_refusal_only_follows_a_full_one(
    posts: list[tuple[int, int]], people_max: int
) -> None:
    limit, now, allowed = PortfolioLimit(people_max, WINDOW_S), 0.0, list[tuple[float, str]]()
    for after, who in posts:
        now += after
        in_window = {person for at, person in allowed if at > now - WINDOW_S}
        is_allowed = limit.allows(str(who), now)
        assert is_allowed == (str(who) in in_window or len(in_window) < people_max)
        if is_allowed:
            allowed.append((now, str(who)))


@pytest.mark.parametrize(
    ("people_max", "tier"), [(None, "TIER_UNLIMITED"), (250, "TIER_250"), (100_000, "TIER_100K"), (7, "TIER_7")]
)
def test_the_limit_has_a_word(people_max: int | None, tier: str) -> None:
    assert tier_of(people_max) == tier
