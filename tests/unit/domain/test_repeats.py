"""A recipient repeats another one: the table of cases, which an integration test compares with the SQL."""

from __future__ import annotations

import pytest

from domain.repeats import OtherAttempt, TwinRefusal, twin_refusal

CASES = [
    ("accepted", False, TwinRefusal.SAME_PERSON),
    ("accepted", True, None),
    ("unknown", False, TwinRefusal.SAME_PERSON),
    ("unknown", True, None),
    ("rejected", False, None),
    ("deferred", False, None),
    ("expired", False, None),
    ("skipped", False, None),
    (None, False, TwinRefusal.TWIN_OPEN),
]


@pytest.mark.parametrize(("outcome", "has_failed", "expected"), CASES)
def test_of_two_recipients_one_is_sent(outcome: str | None, has_failed: bool, expected: TwinRefusal | None) -> None:
    assert twin_refusal([OtherAttempt(outcome, has_failed)]) is expected


def test_a_message_that_may_have_arrived_counts_before_one_that_is_being_sent() -> None:
    both = [OtherAttempt(None), OtherAttempt("accepted")]
    assert twin_refusal(both) is twin_refusal(both[::-1]) is TwinRefusal.SAME_PERSON
    assert twin_refusal([]) is None
