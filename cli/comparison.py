"""What `campaigns verify --from-topic` found, as it is shown: each row that differs, and the events that explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from cli.row_changes import as_document, as_line
from operations.comparison import Comparison


def comparison_document(found: Comparison | str) -> Mapping[str, Any]:
    """For `--json`."""
    if isinstance(found, str):
        return {"not_checked": found}
    return {
        "records": found.records,
        "refused": dict(found.refused),
        "rows": found.rows,
        "equal": found.equal,
        "attempt_ahead": found.attempt_ahead,
        "waiting": found.waiting,
        "outside_retention": found.outside_retention,
        "differs": found.differs,
        "differences": [
            {**as_document(each.change), "events": [asdict(event) for event in each.events]}
            for each in found.differences
        ],
    }


def comparison_lines(found: Comparison | str) -> list[str]:
    """For people: a row as it is → as its events say."""
    if isinstance(found, str):
        return [f"unjudged  rows from the topic: {found}"]
    word = "DIFFERS " if found.differs else "ok      "
    counted = f"{found.equal} equal, {found.differs} differ, {found.waiting} with an answer on its way"
    lines = [f"{word}  rows from {found.records} records: {counted}, {found.outside_retention} outside retention"]
    lines += [f"            events passed over, {reason}: {n}" for reason, n in sorted(found.refused.items())]
    for each in found.differences:
        lines.append(f"            {as_line(each.change)}")
        lines += [
            f"              {event.occurred_at:%Y-%m-%d %H:%M:%S} {event.kind} attempt {event.attempt or '?'}"
            f"  {event.place}"
            for event in each.events
        ]
    if found.differs:
        lines.append(
            "            → campaigns replay where the events say more, campaigns rebuild --campaign where the row does"
        )
        lines.append("              (an attempt is never lowered: one too high costs retries, and nothing else)")
    return lines
