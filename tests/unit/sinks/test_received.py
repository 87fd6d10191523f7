"""Delays of a batch that are counted together, and those that are counted one by one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from runtime.metrics import ManyHistogram
from sinks.received import received_times
from tests.support.histories import START

NOW_S = START.timestamp()


@pytest.mark.parametrize("delays_s", [(), (0.5,), (0.25, 0.5, 0.75), (0.0, 0.5, 7.0, 1e9), (-3.0, 0.5), (-3.0, -1.0)])
def test_delays_are_counted_as_one_by_one_and_none_is_negative(delays_s: tuple[float, ...]) -> None:
    together, alone = (ManyHistogram("x", "x", buckets=(0.05, 1.0, 10.0), registry=CollectorRegistry()) for _ in "ab")
    received_times([START - timedelta(seconds=each) for each in delays_s]).observe(together, NOW_S)
    for each in delays_s:
        alone.observe(max(0.0, each))
    assert [each.samples for each in together.collect()] == [each.samples for each in alone.collect()]
