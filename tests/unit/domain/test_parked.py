"""Parked facts get the attempt of their wamid."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.facts import Acceptance, Facts, FailedAttempt
from domain.parked import PARKED_ATTEMPT, as_attempt, earliest
from schemas.events import RetryClass
from tests.support.histories import START

LATER = START + timedelta(hours=1)
FAILURE = FailedAttempt(PARKED_ATTEMPT, START, 131049, "held back", RetryClass.HELD_BACK, 86_400)
PARKED = Facts(
    attempt=PARKED_ATTEMPT,
    sent_at=START,
    accepted_attempts=1 << PARKED_ATTEMPT,
    acceptance=Acceptance(PARKED_ATTEMPT, START, "wamid.1"),
    failed_attempts=1 << PARKED_ATTEMPT,
    held_back_attempts=1 << PARKED_ATTEMPT,
    failure=FAILURE,
    price="01 marketing/billable",
)


@pytest.mark.parametrize("attempt", [1, 2, 62])
def test_every_occurrence_of_the_attempt_is_replaced(attempt: int) -> None:
    facts = as_attempt(PARKED, attempt)
    assert (facts.attempt, facts.sent_at) == (attempt, START)
    assert facts.accepted_attempts == facts.failed_attempts == facts.held_back_attempts == 1 << attempt
    assert facts.acceptance == Acceptance(attempt, START, "wamid.1")
    assert facts.price == f"{attempt:02d} marketing/billable"
    assert facts.failure is not None
    assert (facts.failure.attempt, facts.failure.code) == (attempt, 131049)


def test_a_fact_that_is_not_parked_stays_absent() -> None:
    facts = as_attempt(Facts(attempt=PARKED_ATTEMPT, read_at=START), 3)
    assert facts == Facts(attempt=3, read_at=START)


def test_the_earliest_time_is_that_of_any_fact() -> None:
    assert earliest(PARKED) == START
    assert earliest(Facts(attempt=PARKED_ATTEMPT)) is None


@pytest.mark.parametrize(
    "facts",
    [
        Facts(acceptance=Acceptance(1, START, "wamid.1"), replied_at=LATER, failure=replace(FAILURE, at=LATER)),
        Facts(acceptance=Acceptance(1, LATER, "wamid.1"), replied_at=START, failure=replace(FAILURE, at=LATER)),
        Facts(acceptance=Acceptance(1, LATER, "wamid.1"), replied_at=LATER, failure=FAILURE),
        Facts(replied_at=START),
        Facts(failure=FAILURE),
    ],
)
def test_the_earliest_of_several_times_counts(facts: Facts) -> None:
    assert earliest(facts) == START
