"""The report of `campaigns verify`: its exit code, its JSON, and its text."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from cli.verify_report import document_of, exit_code, lines_of
from operations.audit import Audit, AuditFinding, CheckResult, CounterDifference
from operations.comparison import Comparison
from operations.verify import VerifyReport
from tables.stats import Difference

AT = datetime(2026, 3, 1, tzinfo=UTC)
CLEAN = Audit(AT, 1, (), (CheckResult("double_send"),))
FINDING = AuditFinding("double_send", UUID(int=2), UUID(int=1), 1, "2 message ids for one attempt")
DIFFERENT = Audit(AT, 1, (), (CheckResult("double_send", 1, (FINDING,)),))
SKIPPED = Audit(AT, 1, (), (CheckResult("outcome_not_applied", not_checked="Kafka does not answer"),))


@pytest.mark.parametrize(
    ("report", "code", "verdict"),
    [
        (VerifyReport(CLEAN), 0, "exact"),
        (VerifyReport(CLEAN, topic=Comparison(rows=1)), 0, "exact"),
        (VerifyReport(CLEAN, topic=Comparison(rows=1, differs=1)), 1, "differs"),
        (VerifyReport(CLEAN, topic="the topic was recreated"), 75, "incomplete"),
        (VerifyReport(DIFFERENT, topic="the topic was recreated"), 1, "differs"),
        (VerifyReport(SKIPPED), 75, "incomplete"),
    ],
)
def test_the_exit_code_and_the_verdict_agree(report: VerifyReport, code: int, verdict: str) -> None:
    assert exit_code(report) == code
    assert document_of(report)["verdict"] == verdict


def test_a_finding_has_its_fields_in_json_and_its_place_in_the_text() -> None:
    report = VerifyReport(DIFFERENT)
    assert document_of(report)["checks"] == [
        {
            "check": "double_send",
            "count": 1,
            "findings": [
                {
                    "check": "double_send", "campaign_id": UUID(int=2), "recipient_id": UUID(int=1), "attempt": 1,
                    "said": "2 message ids for one attempt",
                }
            ],
            "not_checked": "",
        }
    ]  # fmt: skip
    assert any(f"recipient {UUID(int=1)}, attempt 1: 2 message ids" in line for line in lines_of(report))


def test_a_skipped_check_is_unjudged() -> None:
    assert "unjudged  outcome_not_applied: Kafka does not answer" in lines_of(VerifyReport(SKIPPED))


def test_the_name_of_a_counter_is_masked_and_printable() -> None:
    difference = Difference("failure", "\x1b[2Jto 14690000001 failed", stored=1, counted=0)
    report = VerifyReport(Audit(AT, 1, (CounterDifference(UUID(int=2), difference),), ()))
    lines = "".join(lines_of(report))
    assert "\x1b" not in lines
    assert "1469" not in lines + str(document_of(report))
