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


def failures_of(counts: dict[str, int]) -> dict[str, int]:
    return stats_of({f"failure/{code}": n for code, n in counts.items()}).failures


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
    [
        (1, 3, 33.3),
        (2, 3, 66.7),
        (1, 2000, 0.1),
        (1, 2001, 0.0),
        (5, 5, 100.0),
        (0, 5, 0.0),
        (1, 0, 0.0),
        (1, 1, 100.0),
    ],
)
def test_percentages_have_one_decimal_and_round_a_half_up(part: int, whole: int, expected: float) -> None:
    assert percentage(part, whole) == expected


def test_each_number_has_its_counter() -> None:
    counters = {
        "funnel/total": 100, "funnel/sent": 40, "funnel/delivered": 30, "funnel/read": 15, "funnel/replied": 7,
        "funnel/retrying": 3, "status/pending": 20, "status/queued": 12, "status/failed": 9, "status/skipped": 8,
        "status/unknown": 6, "failure/131026": 9, "skip/opted_out": 5, "skip/campaign_cancelled": 2,
    }  # fmt: skip
    stats = campaign_stats(CAMPAIGN, "spring", "paused", counters, version=4, as_of=NOW, producer="test/1")
    assert stats == CampaignStats(
        producer="test/1", campaign_id=CAMPAIGN, campaign_name="spring", status="paused", total_target=100, sent=40,
        delivered=30, read=15, failed=9, pending=20, handled=66, progress_percentage=66.0, delivery_rate=75.0,
        read_rate=37.5, queued=12, skipped=8, unknown=6, retrying=3, replied=7, failures={"131026": 9},
        skips={"opted_out": 5, "campaign_cancelled": 2}, version=4, as_of=NOW,
    )  # fmt: skip
    assert stats_of(counters).producer == ""


def test_a_hundred_codes_are_all_reported_and_of_more_the_rarest_are_summed() -> None:
    hundred = {f"{code:03}": 1000 + code for code in range(KEYS_MAX)}
    assert failures_of(hundred) == hundred
    most = {code: n for code, n in hundred.items() if code != "000"}
    assert failures_of(hundred | {"one": 1}) == most | {OTHER: 1001}
    assert failures_of(hundred | {"one": 1, "two": 2}) == most | {OTHER: 1003}


def test_of_equally_frequent_codes_the_first_by_name_are_reported() -> None:
    codes = [f"{code:03}" for code in range(KEYS_MAX + 1)]
    assert failures_of(dict.fromkeys(reversed(codes), 5)) == dict.fromkeys(codes[: KEYS_MAX - 1], 5) | {OTHER: 10}


def test_a_code_that_has_the_name_of_the_sum_is_part_of_it() -> None:
    counts = {OTHER: 500} | {f"{code:03}": 7 for code in range(KEYS_MAX)}
    assert sum(failures_of(counts).values()) == 500 + 7 * KEYS_MAX


def test_codes_are_in_the_order_of_their_names() -> None:
    assert list(failures_of({"b": 1, "a": 2, "c": 3})) == ["a", "b", "c"]


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
    failures = failures_of(counts)
    assert len(failures) <= KEYS_MAX
    assert sum(failures.values()) == sum(counts.values())
    named = {code: n for code, n in failures.items() if code != OTHER}
    assert named.items() <= counts.items()
    assert max((n for code, n in counts.items() if code not in named), default=0) <= min(named.values(), default=0)


def test_a_snapshot_is_encoded_and_decoded_unchanged_with_the_key_of_its_campaign() -> None:
    stats = stats_of({"funnel/total": 1})
    assert decode(CampaignStats, encode(stats)) == stats
    assert stats.key == str(CAMPAIGN).encode()
