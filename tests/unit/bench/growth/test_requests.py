"""The figures of the answers."""

from __future__ import annotations

from bench.growth.requests import Latencies


def test_the_figures_are_answers_in_the_order_of_time() -> None:
    found = Latencies([float(n) for n in range(100, 0, -1)])
    assert (found.median, found.p99) == (51.0, 100.0)
    assert (Latencies([3.0]).median, Latencies([3.0]).p99) == (3.0, 3.0)
