"""What an answer of the Cloud API about a number shows."""

from __future__ import annotations

import pytest

from runtime.number_reader import ReadNumber, shown_by


def test_an_answer_shows_the_number_its_quality_and_its_throughput() -> None:
    given = {
        "id": "106", "display_phone_number": "+1 555-000-1", "quality_rating": "GREEN",
        "throughput": {"level": "HIGH"}, "status": "CONNECTED",
    }  # fmt: skip
    assert shown_by(given) == ReadNumber("+1 555-000-1", "GREEN", "HIGH", "CONNECTED")


@pytest.mark.parametrize("given", [{"id": "106"}, {"display_phone_number": 5, "throughput": 7, "status": ""}])
def test_what_is_missing_or_odd_is_not_shown(given: dict[str, object]) -> None:
    assert shown_by(given) == ReadNumber(None, None, None, None)
