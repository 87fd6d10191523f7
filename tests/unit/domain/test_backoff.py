"""Backoffs grow and are limited."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.backoff import exponential, scaled_s


@given(st.integers(-5, 10_000), st.floats(0.01, 1000), st.floats(1, 10), st.floats(0.01, 1e6))
def test_the_backoff_never_exceeds_the_cap_and_never_decreases(
    tries: int, base: float, factor: float, cap: float
) -> None:
    here = exponential(tries, base_s=base, factor=factor, cap_s=cap)
    assert 0 < here <= cap
    assert exponential(tries + 1, base_s=base, factor=factor, cap_s=cap) >= here


@given(st.floats(0, 1e6), st.floats(0.001, 1e5))
def test_a_scaled_backoff_is_at_least_a_second(seconds: float, scale: float) -> None:
    assert scaled_s(seconds, scale) >= 1


def test_the_first_wait_is_the_base_and_each_further_one_grows_by_the_factor() -> None:
    waits = [exponential(tries, base_s=2, factor=3, cap_s=1000) for tries in (0, 1, 2, 3, 4)]
    assert waits == [2, 2, 6, 18, 54]
    assert exponential(4, base_s=1, cap_s=1000) == 8, "a wait doubles by default"


@pytest.mark.parametrize(("seconds", "scale", "expected"), [(60, 1, 60), (60, 100, 1), (86_400, 100, 864), (5, 2, 2)])
def test_a_wait_is_divided_by_the_time_scale(seconds: float, scale: float, expected: int) -> None:
    assert scaled_s(seconds, scale) == expected
