"""Renders the report of `campaigns replay` as text or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cli.row_changes import as_document, as_line
from operations.replay import ReplayReport
from operations.replay_plan import ReplayPlan
from operations.tally import CHANGES_MAX, ReplayTotals
from runtime.process import EXIT_OK, EXIT_TRANSIENT

EXIT_REFUSED = 1
LINES_MAX = 50


def exit_code(report: ReplayReport) -> int:
    """1 if it was refused, 75 if it can be resumed, else 0."""
    return {"refused": EXIT_REFUSED, "stopped": EXIT_TRANSIENT}.get(report.verdict, EXIT_OK)


def document_of(report: ReplayReport) -> dict[str, Any]:
    """The report for `--json`."""
    plan, done = report.plan, report.done
    document: dict[str, Any] = {
        "verdict": report.verdict,
        "topic": report.topic,
        "ranges": {str(partition): bounds for partition, bounds in report.ranges.items()},
        "run": None if report.run is None else report.run.id,
    }
    if plan is None:
        return document
    document |= {
        "records": plan.records,
        "events": plan.events,
        "refused": dict(plan.refused),
        "foreign": plan.foreign,
        "would_change": plan.changed,
        "would_make_due": plan.made_due,
        "made_due": [as_document(each) for each in report.made_due or plan.changes if each.makes_due],
    }
    if done is None:
        return {**document, "changes": [as_document(each) for each in plan.changes]}
    return {
        **document,
        "rows_changed": done.rows_changed,
        "columns": dict(done.columns),
        "statuses": dict(done.statuses),
        "unclaimed": done.unclaimed,
        "changes": [as_document(each) for each in done.changes],
    }


def lines_of(report: ReplayReport) -> list[str]:
    """The report as text: the range, the plan, the changed rows, and the outcome."""
    plan, done = report.plan, report.done
    lines = list(_range_lines(report))
    if plan is None:
        option = " with --resume" if report.run else ""
        return [*lines, f"Stopped during planning; nothing was changed. Run it again{option}"]
    lines += _plan_lines(plan)
    if done is not None and report.verdict == "refused":
        lines += [f"not applied: {as_line(change)}" for change in report.made_due[:LINES_MAX]]
    lines += _change_lines(plan, done)
    if done is not None:
        lines += _applied_lines(done)
    return [*lines, *_outcome_lines(report, plan)]


def _range_lines(report: ReplayReport) -> Iterator[str]:
    """The range that was read, and the partitions of which earlier records are deleted."""
    parts = [f"{partition}@{first}-{end - 1}" for partition, (first, end) in report.ranges.items() if first < end]
    yield f"{report.topic}: {', '.join(parts) if parts else 'the range contains no record'}"
    for partition, (first, end) in report.ranges.items():
        low, _ = report.kept.get(partition, (0, 0))
        if first < min(low, end):
            yield f"partition {partition}: {first} to {min(low, end) - 1} were deleted since this replay began"
        elif 0 < first == low:
            yield f"partition {partition} begins at {low}: earlier records are deleted"


def _plan_lines(plan: ReplayPlan) -> Iterator[str]:
    yield f"{plan.records} records, {plan.events} events; they would change {plan.changed} row(s)"
    for reason, n in sorted(plan.refused.items()):
        yield f"skipped, {reason}: {n}"
    if plan.foreign:
        yield f"skipped, for phone numbers of other systems: {plan.foreign}"


def _change_lines(plan: ReplayPlan, done: ReplayTotals | None) -> Iterator[str]:
    """The first rows that changed, or that would change if nothing was applied."""
    changes, count = (plan.changes, plan.changed) if done is None else (done.changes, done.rows_changed)
    for change in changes[:LINES_MAX]:
        yield as_line(change)
    if count > LINES_MAX:
        yield f"… and {count - LINES_MAX} more (--json shows up to {CHANGES_MAX:,})"


def _applied_lines(done: ReplayTotals) -> Iterator[str]:
    if done.unclaimed:
        yield f"skipped, old statuses of other systems, which were counted when they arrived: {done.unclaimed}"
    yield f"changed {done.rows_changed} row(s)" + "".join(f"; {change}: {n}" for change, n in done.statuses.items())


def _outcome_lines(report: ReplayReport, plan: ReplayPlan) -> Iterator[str]:
    """What the operator can do next."""
    match report.verdict:
        case "dry_run" if plan.made_due:
            yield f"{plan.made_due} of them would become due and be messaged again. To apply, add --allow-retries"
        case "refused":
            count = max(plan.made_due, len(report.made_due))
            option = "--allow-retries" if report.done is None else "--resume --allow-retries"
            yield f"REFUSED: {count} row(s) would become due and be messaged again. To apply anyway, add {option}"
        case "stopped":
            yield "Stopped before the end. To continue, run it again with --resume"
        case _:
            pass
