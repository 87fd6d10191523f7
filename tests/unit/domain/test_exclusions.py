"""Exclusions: a table of statuses in another campaign, and the order of the choices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exclusions import LEFT_OUT, ExcludedRecipients, is_excluded
from domain.status import Status

ALL, SENT, DELIVERED, READ = ExcludedRecipients


@pytest.mark.parametrize(
    ("status", "excluded_by"),
    [
        (Status.PENDING, {ALL}),
        (Status.QUEUED, {ALL}),
        (Status.SKIPPED, {ALL}),
        (Status.FAILED, {ALL}),
        (Status.UNKNOWN, {ALL, SENT}),
        (Status.SENT, {ALL, SENT}),
        (Status.DELIVERED, {ALL, SENT, DELIVERED}),
        (Status.READ, {ALL, SENT, DELIVERED, READ}),
    ],
)
def test_a_status_in_the_other_campaign(status: Status, excluded_by: set[ExcludedRecipients]) -> None:
    assert {each for each in ExcludedRecipients if is_excluded([status], each)} == excluded_by


@given(st.lists(st.sampled_from(Status)))
def test_each_choice_leaves_out_those_of_the_next_one(statuses: list[Status]) -> None:
    assert LEFT_OUT.keys() == set(ExcludedRecipients)
    found = [is_excluded(statuses, each) for each in (READ, DELIVERED, SENT, ALL)]
    assert found == sorted(found)
    assert found[-1] is bool(statuses)
