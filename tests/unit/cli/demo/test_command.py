"""The demo's pure parts: whom it writes to, who held a claim, and what the report says."""

from __future__ import annotations

import io

import phonenumbers
import pytest
from rich.console import Console

from cli.demo.completion import Snapshot
from cli.demo.killing import Killing, held_by
from cli.demo.people import people
from cli.demo.result import DemoResult, rate_of
from cli.demo.show import Screen
from verdict.judge import HeldAttempt, Verdict, WrongRow
from verdict.rows import AtWork

KILLING = Killing("sender-1", "v25.0", 7, 0.0, 3, frozenset({("a", 1), ("b", 1), ("c", 1)}))


def test_numbers_are_valid_different_and_repeatable() -> None:
    crowd = people(500, seed=3)
    assert crowd == people(500, seed=3)
    assert crowd != people(500, seed=4)
    assert len({person.number for person in crowd}) == 500
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(f"+{person.number}")) for person in crowd)
    assert sum(person.opted_out for person in crowd) == 5
    assert any(person.parameters for person in crowd)


def test_a_claim_belongs_to_who_posted_any_attempt_of_it() -> None:
    tokens = {("a", 1): "t1", ("x", 1): "t1", ("b", 1): "t2", ("y", 1): "t2", ("c", 1): "t3"}
    posted = {("x", 1): {"v25.0"}, ("y", 1): {"v24.0"}}
    held = held_by(KILLING, tokens, posted)
    assert held == {("a", 1), ("c", 1)}, "a: posted by the killed one; c: by nobody; b: by the one that lives"


def test_only_open_claims_are_held() -> None:
    assert held_by(KILLING, dict.fromkeys([("a", 1), ("b", 1), ("c", 1), ("z", 1)], "t"), {}) == KILLING.open_claims


RESTING = AtWork(0, 0, 0, 0)


def snapshot(*, is_quiet: bool = True, work: AtWork = RESTING, lag: int | None = 0) -> Snapshot:
    return Snapshot(is_quiet, 10, work, lag)


def test_calm_is_only_when_nothing_moves_anywhere() -> None:
    assert snapshot().is_at_rest
    assert snapshot().describe() == "at rest"
    assert not snapshot(is_quiet=False).is_at_rest
    assert not snapshot(lag=1).is_at_rest
    assert not snapshot(lag=None).is_at_rest
    for n in range(4):
        work = AtWork(*(int(n == at) for at in range(4)))
        assert not snapshot(work=work).is_at_rest


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


def report(verdict: Verdict) -> str:
    shown = io.StringIO()
    Screen(Console(file=shown, width=160)).report(outcome(verdict))
    return shown.getvalue()


def test_the_report_says_exact_and_what_the_kill_left() -> None:
    shown = report(EXACT)
    assert "verdict: exact: 0 rows wrong, 0 double sends, 0 counters wrong" in shown
    assert "never received" in shown
    assert "131026" in shown
    assert "1 held back by Meta" in shown


def test_the_report_says_what_differs() -> None:
    shown = report(WRONG)
    assert "verdict: differs: 1 rows wrong, 1 double sends, 1 counters wrong" in shown
    assert "row r9: status (expected read, found sent)" in shown
    assert "counter funnel/read differs" in shown
    assert "not at rest" in shown


def test_the_json_line_has_what_is_promised() -> None:
    promised = {
        "verdict", "recipients", "messages_sent", "double_sends", "rows_wrong", "counters_wrong", "statuses", "seconds",
        "funnel", "failures",
    }  # fmt: skip
    said = outcome(WRONG).as_json()
    assert promised <= said.keys()
    assert (said["verdict"], said["rows_wrong"], said["counters_wrong"], said["seconds"]) == ("differs", 1, 1, 12.3)
    assert outcome(EXACT).as_json()["verdict"] == "exact"
