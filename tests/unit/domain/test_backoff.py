"""Backoffs grow and are limited."""

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
