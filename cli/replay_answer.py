"""What `campaigns replay` found and did, as it is shown: for people, and for `--json`."""

from __future__ import annotations

from typing import Any

from cli.row_changes import as_document, as_line
from operations.replay import ReplayReport
from operations.tally import CHANGES_MAX
from runtime.process import EXIT_OK, EXIT_TRANSIENT

EXIT_REFUSED = 1
LINES_MAX = 50


def exit_code(report: ReplayReport) -> int:
    """1 if it was refused, 75 if it can be resumed, else 0."""
    return {"refused": EXIT_REFUSED, "stopped": EXIT_TRANSIENT}.get(report.verdict, EXIT_OK)


def document_of(answer: ReplayReport) -> dict[str, Any]:
    """The answer for `--json`."""
    found, done = answer.plan, answer.done
    told_of: dict[str, Any] = {
        "verdict": answer.verdict,
        "topic": answer.topic,
        "ranges": {str(partition): bounds for partition, bounds in answer.ranges.items()},
        "run": None if answer.run is None else answer.run.id,
    }
    if found is None:
        return told_of
    told_of |= {
        "records": found.records,
        "events": found.events,
        "refused": dict(found.refused),
        "foreign": found.foreign,
        "would_change": found.changed,
        "would_make_due": found.made_due,
        "made_due": [as_document(each) for each in answer.made_due or found.changes if each.makes_due],
    }
    if done is None:
        return {**told_of, "changes": [as_document(each) for each in found.changes]}
    return {
        **told_of,
        "rows_changed": done.rows_changed,
        "columns": dict(done.columns),
        "statuses": dict(done.statuses),
        "unclaimed": done.unclaimed,
        "changes": [as_document(each) for each in done.changes],
    }


def lines_of(answer: ReplayReport) -> list[str]:
    """The answer for people."""
    lines = _range_lines(answer)
    found, done = answer.plan, answer.done
    if found is None:
        again = " with --resume" if answer.run else ""
        return [*lines, f"stopped while looking; nothing was changed. Run it again{again}"]
    lines.append(f"{found.records} records, {found.events} events; they would change {found.changed} row(s)")
    lines += [f"passed over, {reason}: {n}" for reason, n in sorted(found.refused.items())]
    lines += [f"of other systems' numbers: {found.foreign}"] if found.foreign else []
    shown, count = (found.changes, found.changed) if done is None else (done.changes, done.rows_changed)
    if done is not None and answer.verdict == "refused":
        lines += [f"not applied: {as_line(change)}" for change in answer.made_due[:LINES_MAX]]
    lines += [as_line(change) for change in shown[:LINES_MAX]]
    if count > LINES_MAX:
        lines.append(f"… and {count - LINES_MAX} more (--json shows up to {CHANGES_MAX:,})")
    if done is not None:
        if done.unclaimed:
            lines.append(f"{done.unclaimed} old status(es) of other systems: counted when they came, and passed over")
        lines.append(f"changed {done.rows_changed} row(s)" + "".join(f"; {k}: {n}" for k, n in done.statuses.items()))
    if answer.verdict == "dry_run" and found.made_due:
        lines.append(f"{found.made_due} of them would become due, and be sent to: a real run needs --allow-retries")
    if answer.verdict == "refused":
        many = max(found.made_due, len(answer.made_due))
        how = "--allow-retries" if done is None else "--resume --allow-retries"
        lines.append(f"REFUSED: {many} row(s) would become due, and be sent to; {how} does it all the same")
    if answer.verdict == "stopped":
        lines.append("stopped before the end: run it again with --resume")
    return lines


def _range_lines(answer: ReplayReport) -> list[str]:
    """What was read, and where it begins later than somebody may think."""
    parts = [f"{partition}@{first}-{end - 1}" for partition, (first, end) in answer.ranges.items() if first < end]
    lines = [f"{answer.topic}: {', '.join(parts) if parts else 'nothing is in that range'}"]
    for partition, (first, end) in answer.ranges.items():
        low, _ = answer.kept.get(partition, (0, 0))
        if first < min(low, end):
            lines.append(f"partition {partition}: {first} to {min(low, end) - 1} were deleted since this replay began")
        elif 0 < first == low:
            lines.append(f"partition {partition} begins at {low}: what was before is deleted")
    return lines
