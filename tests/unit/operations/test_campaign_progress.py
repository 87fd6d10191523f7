"""The progress of a campaign: its sentence, and when everything fails."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.stats import everything_fails
from operations.campaign_progress import end_text, most_frequent_failure, progress_text
from schemas.model import CampaignId
from schemas.stats import CampaignProgress


def stats(**values: Any) -> CampaignProgress:
    return CampaignProgress(
        campaign_id=CampaignId(UUID(int=1)), campaign_name="spring", status="active",
        as_of=datetime(2026, 3, 1, tzinfo=UTC), **values,
    )  # fmt: skip


def test_the_estimated_end_is_shown_if_there_is_one() -> None:
    assert end_text(stats()) == ""
    assert end_text(stats(eta=datetime(2026, 11, 26, 9, 30, 59, tzinfo=UTC))) == ", done about 2026-11-26 09:30Z"


def test_nothing_is_handled_before_something_has_an_outcome() -> None:
    assert (
        progress_text(stats(total_target=5000, pending=4000, queued=1000, handled=0))
        == "0 of 5,000 handled (0.0 %), 0 failed"
    )
    half = stats(total_target=100, pending=40, queued=10, handled=50, sent=45, failed=5)
    assert progress_text(half) == "50 of 100 handled (50.0 %), 5 failed (10.0 %)"
    assert progress_text(stats()) == "0 of 0 handled (0.0 %), 0 failed"


@pytest.mark.parametrize(
    ("values", "fails"),
    [
        ({"total_target": 100, "handled": 20, "failed": 20}, True),
        ({"total_target": 100, "handled": 19, "failed": 19}, False),
        ({"total_target": 100, "handled": 21, "failed": 20, "sent": 1}, False),
        ({"total_target": 100, "handled": 30, "failed": 20, "skipped": 10}, True),
        ({"total_target": 100, "handled": 30, "failed": 20, "unknown": 10}, False),
    ],
)
def test_a_campaign_in_which_everything_fails_is_recognised(values: dict[str, int], fails: bool) -> None:
    assert everything_fails(stats(**values)) is fails


def test_the_most_frequent_failure_is_named() -> None:
    assert most_frequent_failure(stats(failures={"131026": 3, "132001": 9})) == "132001"
    assert most_frequent_failure(stats()) is None
