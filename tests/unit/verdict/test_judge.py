"""The verdict finds each kind of difference that a test creates, and a correct run is exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from verdict.judge import Evidence, HeldAttempt, JudgedRow, double_sends, judge
from verdict.recount import percentage, recount, reported
from verdict.truth import LedgerStatus, Post, TimeSpan, truth_of

NUMBER = "14695550101"
AT = 1_700_000_000.0


def status(word: str, after: int, code: int | None = None) -> LedgerStatus:
    return LedgerStatus(word, int(AT) + after, code, AT + after + 0.5)


def post(*statuses: LedgerStatus, **changed: Any) -> Post:
    """An accepted post, answered after 0.1 s."""
    usual: dict[str, Any] = {
        "number": NUMBER,
        "attempt": 1,
        "recipient_id": "r1",
        "received_at": AT,
        "outcome": "answered",
        "http_status": 200,
        "code": None,
        "answered_at": AT + 0.1,
        "accepted": True,
        "wamid": "wamid.1",
        "answer_has_wamid": True,
        "body_parameters": (),
        "statuses": statuses,
    }
    return Post(**{**usual, **changed})


def refused(code: int, status: int = 400, **changed: Any) -> Post:
    return post(**{"http_status": status, "code": code, "accepted": False, "wamid": None, **changed})


def row(**changed: Any) -> JudgedRow:
    """The row of a message that was read."""
    usual: dict[str, Any] = {
        "id": "r1",
        "number": NUMBER,
        "status": "read",
        "attempt": 1,
        "wamid": "wamid.1",
        "sent_at": AT,
        "delivered_at": AT + 2,
        "read_at": AT + 5,
        "failed_at": None,
        "failure_code": None,
        "failure_reason": None,
        "retry_count": 0,
        "due_in_s": None,
    }
    return JudgedRow(**{**usual, **changed})


READ = post(status("sent", 0), status("delivered", 2), status("read", 5))


def evidence(rows: list[JudgedRow] | None = None, posts: list[Post] | None = None, **changed: Any) -> Evidence:
    rows = [row()] if rows is None else rows
    usual: dict[str, Any] = {
        "rows": rows,
        "posts": [READ] if posts is None else posts,
        "numbers": frozenset({NUMBER}),
        "parameters": {},
        "opted_out": frozenset(),
        "held_by_killed": frozenset(),
        "counters": recount(rows),
        "recount": recount(rows),
        "reported": reported(rows),
        "recount_reported": reported(rows),
    }
    return Evidence(**{**usual, **changed})


def test_a_correct_run_is_exact() -> None:
    verdict = judge(evidence())
    assert verdict.word == "exact"
    assert verdict.messages_accepted == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"status": "delivered"}, "status"),
        ({"wamid": "wamid.2"}, "whatsapp_message_id"),
        ({"wamid": None}, "whatsapp_message_id"),
        ({"sent_at": AT + 1}, "sent_at"),
        ({"sent_at": None}, "sent_at"),
        ({"delivered_at": AT + 3}, "delivered_at"),
        ({"read_at": AT + 4}, "read_at"),
        ({"failed_at": AT}, "failed_at"),
        ({"failure_code": 131026}, "failure_code"),
        ({"retry_count": 1}, "retry_count"),
        ({"due_in_s": 3.0}, "next_attempt_at"),
        ({"id": "r2"}, "callback_data"),
        ({"parameters": ("Ada",)}, "template_parameters"),
    ],
)
def test_every_field_of_a_row_is_compared(changed: dict[str, Any], field: str) -> None:
    verdict = judge(evidence([row(**changed)]))
    assert verdict.word == "differs"
    assert field in verdict.wrong_rows[0].fields


def test_counters_and_stats_are_compared_with_the_recount() -> None:
    rows = [row()]
    wrong = {**recount(rows), "funnel/read": 2}
    assert judge(evidence(counters=wrong)).wrong_counters == ("funnel/read",)
    assert judge(evidence(counters={})).word == "differs"
    assert judge(evidence(reported={**reported(rows), "read_rate": 99.9})).wrong_counters == ("stats.read_rate",)


def test_prices_are_recounted_for_delivered_rows() -> None:
    rows = [
        row(price="02 marketing_lite/free"),
        row(price="01 a/b/c", number="4915112345678"),
        row(price="01 utility/billable", delivered_at=None),
        row(price=None),
    ]
    prices = {name: n for name, n in recount(rows).items() if name.startswith("price/")}
    assert prices == {"price/marketing_lite/free/1": 1, "price/other/billable/49": 1}


def test_missing_and_unrequested_rows_are_differences() -> None:
    assert judge(evidence([], [])).wrong_rows[0].fields == ("row_missing",)
    assert judge(evidence(numbers=frozenset())).word == "differs"
    other = post(number="19453083188")
    assert judge(evidence(posts=[READ, other])).wrong_rows[0].fields == ("posted_unasked",)


def test_a_failure_of_the_run_prevents_a_verdict() -> None:
    assert judge(evidence(trouble=("not at rest",))).word == "differs"


def test_two_accepted_posts_of_one_attempt_are_a_double_send() -> None:
    assert double_sends([READ, replace(READ, received_at=AT + 1)]) == 1
    assert judge(evidence(posts=[READ, replace(READ, received_at=AT + 1)])).double_sends == 1


def test_a_further_attempt_is_a_double_send_unless_the_first_had_failed_by_then() -> None:
    failed = post(status("failed", 3, 131000))
    again = post(attempt=2, received_at=AT + 10)
    assert double_sends([failed, again]) == 0
    assert double_sends([failed, replace(again, received_at=AT + 1)]) == 1
    assert double_sends([READ, again]) == 1


def test_refused_posts_are_no_double_sends() -> None:
    assert double_sends([refused(130429, 429), READ]) == 0


class TestUnknown:
    """`unknown` is correct only for attempts that the killed process held."""

    LOST = row(status="unknown", wamid=None, sent_at=None, delivered_at=None, read_at=None)
    HELD = frozenset({("r1", 1)})

    def test_a_held_attempt_that_was_never_received(self) -> None:
        verdict = judge(evidence([self.LOST], [], held_by_killed=self.HELD))
        assert verdict.word == "exact"
        assert verdict.left_by_killed == (HeldAttempt("r1", 1, "never_received", "unknown"),)

    def test_an_attempt_that_was_neither_received_nor_held(self) -> None:
        assert judge(evidence([self.LOST], [])).word == "differs"

    def test_a_held_attempt_that_was_received_and_not_resolved(self) -> None:
        abandoned = replace(READ, outcome="abandoned", answered_at=None, http_status=None)
        assert judge(evidence([self.LOST], [abandoned], held_by_killed=self.HELD)).word == "differs"

    def test_a_held_attempt_that_was_received_and_resolved(self) -> None:
        abandoned = replace(READ, outcome="abandoned", answered_at=None, http_status=None)
        verdict = judge(evidence([row()], [abandoned], held_by_killed=self.HELD))
        assert verdict.word == "exact"
        assert verdict.left_by_killed == (HeldAttempt("r1", 1, "accepted", "read"),)

    def test_an_attempt_that_was_received_without_an_answer_and_not_held(self) -> None:
        hung = post(outcome="hung", accepted=False, wamid=None, http_status=None, answered_at=None)
        assert "unknown_not_of_killed" in judge(evidence([self.LOST], [hung])).wrong_rows[0].fields

    def test_an_unknown_attempt_that_was_sent_again(self) -> None:
        hung = post(outcome="hung", accepted=False, wamid=None, http_status=None, answered_at=None)
        assert "repeated_without_right" in truth_of([hung, replace(READ, attempt=2)]).wrong_conduct


class TestTruth:
    """The expected rows for the simulator's entries."""

    def test_an_answer_alone_makes_it_sent(self) -> None:
        truth = truth_of([post()])
        assert truth.status == "sent"
        assert truth.sent_at == TimeSpan(AT + 0.1 - 1.0, AT + 0.1 + 10.0)

    def test_an_earlier_status_bounds_the_time(self) -> None:
        assert truth_of([post(status("sent", 0))]).sent_at == TimeSpan(AT + 0.1 - 1.0, AT)

    def test_a_frozen_sender_reads_its_answer_after_it_wakes(self) -> None:
        stops = (
            TimeSpan(AT - 9, AT - 5),
            TimeSpan(AT + 9, AT + 30),
            TimeSpan(AT + 35, AT + 50),
            TimeSpan(AT + 90, AT + 99),
        )
        assert truth_of([post()], frozen=stops).sent_at == TimeSpan(AT + 0.1 - 1.0, AT + 60)
        assert truth_of([post()], frozen=stops[:1]) == truth_of([post()])

    def test_a_read_status_implies_delivered_and_sent(self) -> None:
        lost_answer = post(status("read", 5), outcome="cut", http_status=None)
        truth = truth_of([lost_answer])
        exactly = TimeSpan(AT + 5, AT + 5)
        assert (truth.sent_at, truth.delivered_at, truth.read_at) == (exactly, exactly, exactly)

    def test_a_delivery_is_not_hidden_by_a_failure(self) -> None:
        truth = truth_of([post(status("sent", 0), status("failed", 1, 131026), status("delivered", 2))])
        assert (truth.status, truth.failure_code, truth.retry_count) == ("delivered", 131026, 1)

    def test_a_failed_status_gives_the_wamid_and_no_sent_time(self) -> None:
        truth = truth_of([post(status("failed", 1, 131026), outcome="cut", http_status=None)])
        assert (truth.status, truth.wamid, truth.sent_at) == ("failed", "wamid.1", None)

    def test_an_answer_without_wamid_and_no_status(self) -> None:
        assert truth_of([post(answer_has_wamid=False)]).wamid is None

    def test_a_throttle_is_no_failure_and_the_attempt_is_posted_again(self) -> None:
        truth = truth_of([refused(130429, 429), READ])
        assert (truth.status, truth.retry_count, truth.wrong_conduct) == ("read", 0, ())

    def test_a_throttled_attempt_without_another_post_stays_queued(self) -> None:
        assert truth_of([refused(130429, 429)]).wrong_conduct == ("left_queued",)

    def test_a_transient_failure_must_be_retried(self) -> None:
        assert truth_of([refused(131016, 500)]).wrong_conduct == ("retry_missing",)
        thrice = [refused(131016, 500, attempt=n) for n in (1, 2, 3)]
        truth = truth_of(thrice)
        assert (truth.status, truth.retry_count, truth.wrong_conduct) == ("failed", 3, ())
        assert "repeated_without_right" in truth_of([*thrice, refused(131016, 500, attempt=4)]).wrong_conduct

    def test_a_permanent_failure_must_not_be_repeated(self) -> None:
        assert truth_of([refused(131026), replace(READ, attempt=2)]).wrong_conduct == ("repeated_without_right",)

    def test_an_answered_attempt_must_not_be_posted_again(self) -> None:
        assert "posted_again_after_answer" in truth_of([READ, READ]).wrong_conduct

    def test_a_held_back_failure_waits_a_day_and_is_no_retry(self) -> None:
        truth = truth_of([post(status("failed", 1, 131049), number="4917112345678")])
        assert (truth.status, truth.waits_a_day, truth.retry_count) == ("failed", True, 0)
        assert not truth_of([post(status("failed", 1, 131049), number="14155550100")]).waits_a_day

    def test_a_code_of_a_whole_scope_defers_and_is_no_failure(self) -> None:
        truth = truth_of([refused(190, 401)])
        assert (truth.status, truth.retry_count) == ("queued", 0)

    def test_a_server_error_without_a_known_code_is_unknown(self) -> None:
        assert truth_of([post(http_status=502, accepted=False, wamid=None)]).status == "unknown"
        assert truth_of([refused(3, 500)]).status == "unknown"

    def test_opted_out_people_get_no_message(self) -> None:
        assert truth_of([], opted_out=True).status == "skipped"
        assert truth_of([READ], opted_out=True).wrong_conduct == ("posted_to_opted_out",)

    def test_everyone_else_gets_a_message(self) -> None:
        assert truth_of([]).wrong_conduct == ("never_posted",)


@pytest.mark.parametrize(("part", "whole", "shown"), [(1, 8, 12.5), (1, 16, 6.3), (1, 0, 0.0), (2, 3, 66.7)])
def test_percentages_have_one_decimal(part: int, whole: int, shown: float) -> None:
    assert percentage(part, whole) == shown
