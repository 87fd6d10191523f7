"""Ranges that were already read are not read again."""

from __future__ import annotations

import pytest

from operations.coverage import Interval, rounds, uncovered


@pytest.mark.parametrize(
    ("wanted", "covered", "left"),
    [
        ((0, 10), [], [(0, 10)]),
        ((0, 10), [(0, 10)], []),
        ((0, 10), [(2, 4), (6, 20)], [(0, 2), (4, 6)]),
        ((5, 10), [(0, 3), (20, 30)], [(5, 10)]),
        ((5, 10), [(7, 8), (0, 6), (6, 7)], [(8, 10)]),
        ((5, 5), [], []),
    ],
)
def test_no_record_is_read_twice(wanted: Interval, covered: list[Interval], left: list[Interval]) -> None:
    assert uncovered(wanted, covered) == left


def test_a_round_has_one_interval_per_partition() -> None:
    assert rounds([(0, (1, 2)), (0, (5, 6)), (1, (3, 4))]) == [{0: (1, 2), 1: (3, 4)}, {0: (5, 6)}]
