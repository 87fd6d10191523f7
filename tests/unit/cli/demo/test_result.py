"""The rate and the JSON line of the demo's result."""

from __future__ import annotations

import pytest

from cli.demo.killing import Killing
from cli.demo.result import DemoResult, rate_of
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


def test_the_rate_leaves_out_the_late_retries() -> None:
    assert rate_of([n / 10 for n in range(95)] + [1000.0] * 5) == pytest.approx(10, rel=0.02)
    assert rate_of([]) == rate_of([5.0]) == 0.0


def test_the_json_line_has_the_documented_fields() -> None:
    documented = {
        "verdict", "recipients", "messages_sent", "double_sends", "rows_wrong", "counters_wrong", "statuses", "seconds",
        "funnel", "failures",
    }  # fmt: skip
    fields = outcome(WRONG).as_json()
    assert documented <= fields.keys()
    assert (fields["verdict"], fields["seconds"]) == ("differs", 12.3)
    assert (fields["rows_wrong"], fields["counters_wrong"]) == (1, 1)
    assert outcome(EXACT).as_json()["verdict"] == "exact"
