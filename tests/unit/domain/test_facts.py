"""Named scenarios for which simpler merges gave an incorrect result."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

import pytest
from pydantic import ValidationError

from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import Status, failure_reason, next_attempt_at, retry_count, status
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import Wamid
from tests.support.histories import CAMPAIGN, RECIPIENT, START

GONE = Failure(code=131026, reason="undeliverable", retry_class=RetryClass.NEVER, backoff_s=0)
HICCUP = Failure(code=131000, reason="something went wrong", retry_class=RetryClass.BACKOFF, backoff_s=600)
HELD = Failure(code=131049, reason="held back", retry_class=RetryClass.HELD_BACK, backoff_s=86_400)


def event(kind: str, attempt: int = 1, minute: int = 0, failure: Failure | None = None) -> RecipientEvent:
    word = EventKind(kind)
    at = START + timedelta(minutes=minute)
    return RecipientEvent(
        kind=word, campaign_id=CAMPAIGN, recipient_id=RECIPIENT, attempt=attempt, occurred_at=at, received_at=at,
        wamid=Wamid(f"wamid.{attempt}") if word in ("accepted", "sent", "delivered", "read", "failed") else None,
        failure=failure or (GONE if word in ("failed", "rejected") else None),
        skip_reason="opted_out" if word == "skipped" else None,
        not_before=at if word in ("deferred", "expired") else None,
    )  # fmt: skip


def after(*events: RecipientEvent, released: int = 0) -> Facts:
    start = merge(NOTHING, Facts(attempt=released))
    return reduce(merge, (facts_of(one, one.attempt or 0) for one in events), start)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(after(), Status.PENDING, id="nothing"),
        pytest.param(after(released=1), Status.QUEUED, id="released"),
        pytest.param(after(event("accepted")), Status.SENT, id="accepted-is-sent"),
        pytest.param(after(event("read")), Status.READ, id="read-without-delivered"),
        pytest.param(after(event("delivered"), event("failed", minute=1)), Status.DELIVERED, id="late-failed"),
        pytest.param(
            after(event("failed"), event("delivered", minute=1)), Status.DELIVERED, id="delivered-after-failed"
        ),
        pytest.param(after(event("accepted"), event("failed", minute=1)), Status.FAILED, id="failed-after-accepted"),
        pytest.param(after(event("unknown"), event("sent")), Status.SENT, id="webhook-resolves-unknown"),
        pytest.param(after(event("deferred"), event("unknown")), Status.QUEUED, id="deferred-and-unknown"),
        pytest.param(after(event("unknown"), released=2), Status.QUEUED, id="retry-leaves-unknown"),
        pytest.param(after(event("skipped"), released=2), Status.QUEUED, id="released-after-skip"),
        pytest.param(after(event("unknown"), event("sent"), released=2), Status.SENT, id="late-sent-of-attempt-1"),
        pytest.param(after(event("failed", failure=HICCUP), event("accepted", 2)), Status.SENT, id="second-attempt"),
        pytest.param(after(event("sent", 3)), Status.SENT, id="event-above-the-row"),
        pytest.param(after(event("unknown", 3)), Status.UNKNOWN, id="unknown-above-the-row"),
        pytest.param(after(event("accepted"), event("unknown", 2)), Status.SENT, id="unknown-after-an-acceptance"),
        pytest.param(after(event("failed", 62)), Status.FAILED, id="last-bit"),
        pytest.param(after(event("replied")), Status.QUEUED, id="replied-implies-nothing"),
    ],
)
def test_status(facts: Facts, expected: Status) -> None:
    assert status(facts) is expected


def due(facts: Facts, max_retries: int = 3) -> object:
    return next_attempt_at(facts, planned_at=None, created_at=START, max_retries=max_retries)


def test_a_delivery_removes_the_due_time_of_an_older_failure() -> None:
    failed = after(event("failed", failure=HICCUP))
    assert due(failed) == START + timedelta(seconds=600)
    assert due(merge(failed, after(event("delivered", minute=1)))) is None


def test_an_attempt_that_was_certainly_not_sent_is_due_again_despite_other_statuses() -> None:
    assert due(after(event("deferred", minute=5), event("unknown"))) == START + timedelta(minutes=5)
    assert due(after(event("deferred"), released=2)) is None


def test_an_unknown_is_due_only_for_a_retry_of_its_own_attempt() -> None:
    assert due(after(event("unknown"))) is None
    assert due(after(event("unknown"), event("retry"))) == START
    assert due(after(event("unknown"), event("retry"), released=2)) is None
    assert due(after(event("unknown"), event("retry"), event("unknown", 2))) is None


@pytest.mark.parametrize("attempt", [-1, 0, 63, 64])
def test_an_attempt_beyond_the_bits_of_a_bigint_is_refused(attempt: int) -> None:
    with pytest.raises(ValidationError, match="attempt"):
        event("sent", attempt)


def test_a_failed_webhook_states_the_acceptance_of_its_message_and_no_time_of_sending() -> None:
    facts = facts_of(event("failed", 2), 2)
    assert facts.acceptance is not None
    assert (facts.acceptance.wamid, facts.accepted_attempts, facts.sent_at) == ("wamid.2", 1 << 2, None)
    assert facts_of(event("rejected", 2), 2).acceptance is None


def test_a_held_back_failure_is_due_a_day_later_at_most_three_times_and_is_no_retry() -> None:
    rounds = [event("failed", attempt, failure=HELD) for attempt in (1, 2, 3)]
    assert due(after(*rounds[:2])) == START + timedelta(days=1)
    assert retry_count(after(*rounds)) == 0
    assert due(after(*rounds)) is None


def test_retries_end_at_max_retries_but_an_operator_may_go_on() -> None:
    three = [event("failed", attempt, failure=HICCUP) for attempt in (1, 2, 3)]
    assert due(after(*three)) is None
    assert due(after(*three, event("retry", 3))) == START


def test_the_shown_failure_is_consistent_in_any_order() -> None:
    ours = Failure(code=None, reason="no code", retry_class=RetryClass.NEVER, backoff_s=0)
    pair = (event("rejected", failure=ours), event("failed", minute=5, failure=GONE))
    for facts in (after(*pair), after(*reversed(pair))):
        assert facts.failure is not None
        assert (facts.failure.code, facts.failure.text) == (131026, "undeliverable")


def test_the_failure_reason_is_that_of_the_skip_while_skipped() -> None:
    facts = after(event("failed", failure=HICCUP), event("skipped", 2))
    assert failure_reason(facts) == "opted_out"
    assert failure_reason(merge(facts, Facts(attempt=3))) == "something went wrong"


def test_no_attempt_follows_the_last_one() -> None:
    last = 62
    assert due(after(event("failed", last, failure=HICCUP))) is None
    assert due(after(event("failed", last, failure=HICCUP), event("retry", last))) is None
    assert due(after(event("unknown", last), event("retry", last))) is None
    before = after(event("unknown", last - 1), event("retry", last - 1))
    assert due(before) == START


def test_a_row_that_failed_without_a_stated_failure_is_never_due_and_shows_no_reason() -> None:
    facts = Facts(attempt=1, failed_attempts=1 << 1)
    assert (status(facts), due(facts), failure_reason(facts)) == (Status.FAILED, None, None)
