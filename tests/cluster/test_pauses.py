"""The measure of a pause."""

from __future__ import annotations

import pytest

from tests.cluster.pauses import longest_gap


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], 10.0),
        ([101.0, 102.0, 109.5], 7.5),
        ([109.5, 102.0, 101.0], 7.5),
        ([106.0], 6.0),
        ([104.0], 6.0),
        ([99.0, 111.0], 10.0),
    ],
)
def test_a_pause_is_the_longest_time_without_an_event_within_the_span(times: list[float], expected: float) -> None:
    assert longest_gap(times, 100.0, 110.0).seconds == expected
