"""The report names the verdict, the remains of the kill, and each difference."""

from __future__ import annotations

import io

from rich.console import Console

from cli.demo.killing import Killing
from cli.demo.result import DemoResult
from cli.demo.show import Screen
from verdict.judge import HeldAttempt, Verdict, WrongRow

KILLING = Killing("sender-1", "v25.0", 7, 0.0, 3, frozenset({("a", 1), ("b", 1), ("c", 1)}))


def outcome(verdict: Verdict) -> DemoResult:
    stats = dict.fromkeys(("total_target", "sent", "delivered", "read", "failed", "skipped", "unknown"), 2)
    stats |= {"pending": 0, "queued": 0}
    return DemoResult(
        verdict, KILLING, stats, {"131026": 2}, {"131026": "Undeliverable: x"}, 9, 12.34, 5.0, 1, {"s": 0}
    )


EXACT = Verdict((), (), 0, (HeldAttempt("a", 1, "never_received", "unknown"),), 1, 2)
WRONG = Verdict((WrongRow("r9", ("status",), "read", "sent"),), ("funnel/read",), 1, (), 0, 2, ("not at rest",))


def report(verdict: Verdict) -> str:
    shown = io.StringIO()
    Screen(Console(file=shown, width=160)).report(outcome(verdict))
    return shown.getvalue()


def test_the_report_shows_exact_and_the_remains_of_the_kill() -> None:
    shown = report(EXACT)
    assert "verdict: exact: 0 rows wrong, 0 double sends, 0 counters wrong" in shown
    assert "never received" in shown
    assert "131026" in shown
    assert "1 held back by Meta" in shown


def test_the_report_names_each_difference() -> None:
    shown = report(WRONG)
    assert "verdict: differs: 1 rows wrong, 1 double sends, 1 counters wrong" in shown
    assert "row r9: status (expected read, found sent)" in shown
    assert "counter funnel/read differs" in shown
    assert "not at rest" in shown
