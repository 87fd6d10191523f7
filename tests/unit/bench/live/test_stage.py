"""The time from a webhook to the browser is that to the first frame that counts it."""

from __future__ import annotations

import pytest

from bench.live.stage import deliveries, latencies_s


def test_each_delivery_waits_for_the_first_frame_that_counts_it() -> None:
    shown = [(10.5, 0), (11.0, 2), (11.5, 2), (12.0, 3)]
    assert latencies_s([10.0, 10.75, 11.25], shown) == pytest.approx([1.0, 0.25, 0.75])


def test_a_delivery_that_no_frame_counts_is_missing() -> None:
    assert latencies_s([10.0, 10.5], [(11.0, 1)]) == [1.0]
    assert latencies_s([10.0], []) == []


def test_a_read_message_was_delivered_and_a_failed_one_was_not() -> None:
    def status(word: str, at: float) -> dict[str, object]:
        return {"status": word, "first_sent_at": at}

    ledger = [
        {"statuses": [status("sent", 1.0), status("read", 2.0), status("delivered", 3.0)]},
        {"statuses": [status("sent", 0.5), status("delivered", 1.5)]},
        {"statuses": [status("failed", 1.0)]},
    ]
    assert deliveries(ledger) == [1.5, 2.0]
