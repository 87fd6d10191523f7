"""The report of `campaigns replay`: its exit code, and the next step in its text."""

from __future__ import annotations

import pytest

from cli.replay_report import document_of, exit_code, lines_of
from operations.replay import ReplayReport
from operations.replay_plan import ReplayPlan
from operations.tally import ReplayTotals


def report(verdict: str, plan: ReplayPlan | None = None, done: ReplayTotals | None = None) -> ReplayReport:
    return ReplayReport(verdict, "recipient.events", {0: (3, 9), 1: (5, 5)}, {0: (3, 9)}, plan, done=done)


@pytest.mark.parametrize(
    ("found", "code", "last_line"),
    [
        (report("stopped"), 75, "Stopped during planning; nothing was changed. Run it again"),
        (report("stopped", ReplayPlan(), ReplayTotals()), 75, "To continue, run it again with --resume"),
        (report("refused", ReplayPlan(made_due=2)), 1, "To apply anyway, add --allow-retries"),
        (report("refused", ReplayPlan(made_due=2), ReplayTotals()), 1, "To apply anyway, add --resume --allow-retries"),
        (report("dry_run", ReplayPlan(made_due=2)), 0, "To apply, add --allow-retries"),
        (report("dry_run", ReplayPlan(records=6)), 0, "6 records, 0 events; they would change 0 row(s)"),
        (report("applied", ReplayPlan(), ReplayTotals(rows_changed=4)), 0, "changed 4 row(s)"),
    ],
)
def test_the_last_line_is_the_next_step(found: ReplayReport, code: int, last_line: str) -> None:
    assert exit_code(found) == code
    assert lines_of(found)[-1].endswith(last_line)


def test_a_range_that_begins_at_deleted_records_is_reported() -> None:
    assert lines_of(report("stopped"))[:2] == [
        "recipient.events: 0@3-8", "partition 0 begins at 3: earlier records are deleted",
    ]  # fmt: skip


def test_the_json_of_a_dry_run_has_no_applied_rows() -> None:
    document = document_of(report("dry_run", ReplayPlan(changed=1)))
    assert document["would_change"] == 1
    assert "rows_changed" not in document
