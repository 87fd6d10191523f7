"""Renders the report of `campaigns verify` as text or as JSON: each check, and each row that differs from the topic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cli import row_changes
from cli.console import printable
from operations.audit import AuditFinding, CheckResult, CounterDifference
from operations.comparison import Comparison
from operations.verify import VerifyReport
from runtime.logs import mask_text
from runtime.process import EXIT_OK, EXIT_TRANSIENT

EXIT_DIFFERENT = 1
VERDICT_LINES = {
    "exact": "verdict: exact. Everything that was checked agrees",
    "differs": "verdict: DIFFERS. The lines above name each difference, and the command after the arrow",
    "incomplete": "verdict: incomplete. A check could not be made (unjudged); the others agree. Run this again later",
}


def exit_code(report: VerifyReport) -> int:
    """1 if something differs, 75 if a check could not be made, else 0."""
    if report.differs:
        return EXIT_DIFFERENT
    return EXIT_OK if report.is_complete else EXIT_TRANSIENT


def verdict_of(report: VerifyReport) -> str:
    """`exact`, `differs`, or `incomplete` if a check could not be made."""
    return {EXIT_DIFFERENT: "differs", EXIT_OK: "exact"}.get(exit_code(report), "incomplete")


def document_of(report: VerifyReport) -> dict[str, Any]:
    """The report for `--json`."""
    found = report.found
    return {
        "verdict": verdict_of(report),
        "as_of": found.as_of,
        "campaigns": found.campaigns,
        "counters": [_counter(each) for each in found.counters],
        "counters_repaired": [_counter(each) for each in report.repaired],
        "checks": [_check_document(check) for check in found.checks],
        "pruned": [asdict(each) for each in found.pruned],
        **({} if report.topic is None else {"from_topic": comparison_document(report.topic)}),
    }


def comparison_document(found: Comparison | str) -> dict[str, Any]:
    """The comparison with the topic, for `--json`."""
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
            {**row_changes.as_document(each.change), "events": [asdict(event) for event in each.events]}
            for each in found.differences
        ],
    }


def lines_of(report: VerifyReport) -> list[str]:
    """The report as text."""
    found = report.found
    lines = [f"repaired  {_counter_line(each)}" for each in report.repaired]
    lines += [f"DIFFERS   {_counter_line(each)}  → campaigns verify --repair-counters" for each in found.counters]
    if not found.counters:
        lines.append(f"ok        counters equal rows, in {found.campaigns} campaign(s)")
    lines += [line for check in found.checks for line in _check_lines(check)]
    lines += [
        f"pruned    {each.table}: {each.n} rows, the youngest of {each.newest_at:%Y-%m-%d %H:%M} (retention)"
        for each in found.pruned
    ]
    if report.topic is not None:
        lines += comparison_lines(report.topic)
    return [*lines, VERDICT_LINES[verdict_of(report)]]


def comparison_lines(found: Comparison | str) -> list[str]:
    """The comparison with the topic as text: each row as it is → as its events imply, and the events."""
    if isinstance(found, str):
        return [f"unjudged  rows from the topic: {found}"]
    word = "DIFFERS " if found.differs else "ok      "
    counted = f"{found.equal} equal, {found.differs} differ, {found.waiting} with an answer that is not applied yet"
    lines = [f"{word}  rows from {found.records} records: {counted}, {found.outside_retention} outside retention"]
    lines += [f"            skipped, {reason}: {n}" for reason, n in sorted(found.refused.items())]
    for each in found.differences:
        lines.append(f"            {row_changes.as_line(each.change)}")
        lines += [
            f"              {event.occurred_at:%Y-%m-%d %H:%M:%S} {event.kind} attempt {event.attempt or '?'}"
            f"  {event.place}"
            for event in each.events
        ]
    if found.differs:
        lines.append("            → if the row lacks facts that its events have: campaigns replay")
        lines.append("            → if the row has facts that its events do not have: campaigns rebuild --campaign")
        lines.append("              (rebuild never lowers an attempt; an attempt that is too high only costs retries)")
    return lines


def _check_document(check: CheckResult) -> dict[str, Any]:
    findings = [
        {
            "check": each.check,
            "campaign_id": each.campaign_id,
            "recipient_id": each.recipient_id,
            "attempt": each.attempt,
            "said": each.detail,
        }
        for each in check.findings
    ]
    return {"check": check.check, "count": check.count, "findings": findings, "not_checked": check.not_checked}


def _check_lines(check: CheckResult) -> Iterator[str]:
    if check.not_checked:
        yield f"unjudged  {check.check}: {check.not_checked}"
    elif check.count == 0:
        yield f"ok        {check.check}: none"
    else:
        yield f"DIFFERS   {check.check}: {check.count}"
        for each in check.findings:
            yield f"            {_place(each)}: {each.detail}"
        command = "campaigns trace <recipient id>" if check.findings[0].recipient_id else "campaigns verify --campaign"
        yield f"            → {command}"


def _place(finding: AuditFinding) -> str:
    parts = [f"campaign {finding.campaign_id}"] if finding.campaign_id else []
    parts += [f"recipient {finding.recipient_id}"] if finding.recipient_id else []
    parts += [f"attempt {finding.attempt}"] if finding.attempt is not None else []
    return ", ".join(parts)


def _counter(each: CounterDifference) -> dict[str, Any]:
    return {"campaign_id": each.campaign_id, **asdict(each.difference), "key": mask_text(each.difference.key)}


def _counter_line(each: CounterDifference) -> str:
    difference = each.difference
    name = printable(mask_text(f"{difference.dimension}/{difference.key}"))
    return f"campaign {each.campaign_id}: counter {name} is {difference.stored}, the rows give {difference.counted}"
