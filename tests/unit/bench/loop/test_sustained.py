"""The figures of a steady rate: whether the lag grows, and the time from a webhook to its row."""

from __future__ import annotations

from typing import Any

import pytest

from bench.loop.sustained import grows, latencies_ms, p99


def test_a_lag_grows_if_its_last_third_is_well_above_the_second() -> None:
    assert not grows([0, 50, 90, 60, 100, 80], rate=100)
    assert grows([0, 50, 90, 100, 150, 200], rate=100)
    assert not grows([500, 500], rate=100)


def test_the_time_to_the_row_begins_with_the_last_status() -> None:
    ledger: list[dict[str, Any]] = [
        {"accepted": True, "wamid": "a", "statuses": [{"first_sent_at": 10.0}, {"first_sent_at": 11.0}]},
        {"accepted": True, "wamid": "b", "statuses": []},
        {"accepted": False, "wamid": None, "statuses": []},
    ]
    assert latencies_ms(ledger, {"a": 11.25, "b": 1.0}) == pytest.approx([250.0])


def test_one_of_a_hundred_is_above_the_99th_percentile() -> None:
    assert p99([float(n) for n in range(100)]) == 99.0
    assert p99([]) == 0.0
