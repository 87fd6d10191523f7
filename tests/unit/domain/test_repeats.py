"""A recipient repeats another one: the table of cases, which an integration test compares with the SQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.repeats import OtherAttempt, is_repeated

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
BEFORE, AFTER = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("claimed_at", "outcome", "other_claimed_at", "has_failed", "expected"),
    [
        (None, "accepted", BEFORE, False, True),
        (None, "accepted", BEFORE, True, False),
        (None, "unknown", BEFORE, False, True),
        (None, "rejected", BEFORE, False, False),
        (None, "deferred", BEFORE, False, False),
        (None, "expired", BEFORE, False, False),
        (None, "skipped", BEFORE, False, False),
        (None, None, BEFORE, False, True),
        (NOON, None, BEFORE, False, True),
        (NOON, None, NOON, False, False),
        (NOON, None, AFTER, False, False),
        (NOON, "accepted", AFTER, False, True),
    ],
)
def test_of_two_recipients_one_is_sent(
    claimed_at: datetime | None, outcome: str | None, other_claimed_at: datetime, has_failed: bool, expected: bool
) -> None:
    other = OtherAttempt(OTHER, other_claimed_at, outcome, has_failed)
    assert is_repeated(ONE, claimed_at, [other]) is expected
    assert not is_repeated(ONE, claimed_at, [])


def test_of_two_claims_at_one_moment_the_smaller_id_is_sent() -> None:
    assert not is_repeated(ONE, NOON, [OtherAttempt(OTHER, NOON, None)])
    assert is_repeated(OTHER, NOON, [OtherAttempt(ONE, NOON, None)])
