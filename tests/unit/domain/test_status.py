"""The status and the due time at each boundary. The tests of the SQL functions use the same table."""

from __future__ import annotations

import pytest

from domain.status import next_attempt_at, status
from tests.support.boundaries import CREATED_AT, PLANNED_AT, ROWS, Row


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_status_and_the_due_time_at_each_boundary(row: Row) -> None:
    assert status(row.facts) is row.status
    due_at = next_attempt_at(row.facts, planned_at=PLANNED_AT, created_at=CREATED_AT, max_retries=row.max_retries)
    assert due_at == row.due_at
