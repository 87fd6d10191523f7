"""The funnel and its rates are computed from counters."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.stats import KEYS_MAX, OTHER, campaign_stats, percentage
from schemas.codec import decode, encode
from schemas.model import CampaignId
from schemas.stats import CampaignStats

CAMPAIGN = CampaignId(UUID(int=7))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def stats_of(counters: dict[str, int]) -> CampaignStats:
    return campaign_stats(CAMPAIGN, "Test Campaign", "active", counters, version=3, as_of=NOW)


def test_the_documented_example() -> None:
    counters = {
        "funnel/total": 100, "funnel/sent": 50, "funnel/delivered": 45, "funnel/read": 30,
        "status/failed": 5, "status/pending": 50,
    }  # fmt: skip
    documented = {
        "campaign_id": str(CAMPAIGN), "campaign_name": "Test Campaign", "status": "active", "total_target": 100,
        "sent": 50, "delivered": 45, "read": 30, "failed": 5, "pending": 50,
        "handled": 50, "progress_percentage": 50.0, "delivery_rate": 90.0, "read_rate": 60.0,
    }  # fmt: skip
    assert documented.items() <= stats_of(counters).model_dump(mode="json").items()


def test_rates_are_zero_before_the_first_send() -> None:
    stats = stats_of({})
    assert (stats.progress_percentage, stats.delivery_rate, stats.read_rate) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(1, 3, 33.3), (2, 3, 66.7), (1, 2000, 0.1), (1, 2001, 0.0), (5, 5, 100.0), (0, 5, 0.0), (1, 0, 0.0)],
)
def test_percentages_have_one_decimal_and_round_a_half_up(part: int, whole: int, expected: float) -> None:
    assert percentage(part, whole) == expected


def test_what_is_only_released_is_no_progress() -> None:
    stats = stats_of({"funnel/total": 10, "status/queued": 4, "status/pending": 6})
    assert (stats.handled, stats.progress_percentage) == (0, 0.0)


def test_a_cancelled_campaign_keeps_the_progress_that_it_had() -> None:
    counters = {
        "funnel/total": 10,
        "funnel/sent": 2,
        "status/skipped": 8,
        "skip/campaign_cancelled": 7,
        "skip/opted_out": 1,
    }
    stats = stats_of(counters)
    assert (stats.handled, stats.progress_percentage) == (3, 30.0)


def test_failures_and_skips_are_reported_by_code() -> None:
    stats = stats_of({"failure/131026": 2, "failure/unknown": 1, "skip/opted_out": 4, "status/skipped": 4})
    assert stats.failures == {"131026": 2, "unknown": 1}
    assert (stats.skips, stats.skipped) == ({"opted_out": 4}, 4)


@given(st.dictionaries(st.integers(0, 9_999_999).map(str), st.integers(1, 10**6), max_size=300))
def test_a_snapshot_has_a_bounded_number_of_codes(counts: dict[str, int]) -> None:
    failures = stats_of({f"failure/{code}": n for code, n in counts.items()}).failures
    assert len(failures) <= KEYS_MAX
    assert sum(failures.values()) == sum(counts.values())
    named = {code: n for code, n in failures.items() if code != OTHER}
    assert named.items() <= counts.items()
    assert max((n for code, n in counts.items() if code not in named), default=0) <= min(named.values(), default=0)


def test_a_snapshot_is_encoded_and_decoded_unchanged_with_the_key_of_its_campaign() -> None:
    stats = stats_of({"funnel/total": 1})
    assert decode(CampaignStats, encode(stats)) == stats
    assert stats.key == str(CAMPAIGN).encode()
