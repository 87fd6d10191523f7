"""The table of the Cloud API's errors."""

from __future__ import annotations

from simulator.cloud_errors import CLOUD_ERRORS, ROWS, error_of


def test_the_error_table_names_each_code_once() -> None:
    assert len(ROWS) == len(CLOUD_ERRORS)
    assert error_of(999_999_999).http_status == 400
