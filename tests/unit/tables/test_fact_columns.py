"""The columns of a merge: which facts are sent, and in which order."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from domain.facts import Facts, FailedAttempt
from schemas.events import RetryClass
from schemas.model import RecipientId
from tables import binary_arrays as binary
from tables.fact_columns import COLUMNS, merge_parameters
from tests.support.histories import START

PERSON = RecipientId(UUID(int=1))


def test_a_fact_that_no_recipient_has_is_an_empty_array() -> None:
    parameters = merge_parameters({PERSON: Facts(attempt=1, accepted_attempts=2, sent_at=START)})
    sent = {name for name in COLUMNS if parameters[name] != type(parameters[name])(parameters[name][:12])}
    assert sent == {"attempt", "accepted_attempts", "sent_at"}
    assert parameters["failure_text"] == binary.texts([])


def test_a_zero_and_an_empty_text_are_facts() -> None:
    failure = FailedAttempt(1, START, 0, "", RetryClass.NEVER, 0)
    parameters = merge_parameters({PERSON: replace(Facts(attempt=1, failed_attempts=2), failure=failure)})
    assert parameters["failure_code"] == binary.integers([0])
    assert parameters["failure_text"] == binary.texts([""])
    assert parameters["failure_backoff_s"] == binary.integers([0])


def test_without_a_recipient_every_column_is_empty() -> None:
    parameters = merge_parameters({})
    assert set(parameters) == {"id", *COLUMNS}
    assert all(len(each) == 12 for each in parameters.values())
