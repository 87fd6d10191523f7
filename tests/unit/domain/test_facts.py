"""Named scenarios for which simpler merges gave an incorrect result."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from pydantic import ValidationError

from domain.facts import FACT_NAMES, NOTHING, Acceptance, Facts, FailedAttempt, Skip, Wait, facts_of, merge
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


# ------------------------------------------------------------------------------------------------- what an event states

LATER = START + timedelta(minutes=1)
BIT = 1 << 3
NAMED = Acceptance(3, START, Wamid("wamid.3"))
UNDELIVERABLE = FailedAttempt(3, START, 131026, "undeliverable", RetryClass.NEVER, 0)


@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        ("accepted", Facts(attempt=3, sent_at=START, accepted_attempts=BIT, acceptance=NAMED)),
        ("assumed_sent",
         Facts(attempt=3, sent_at=START, accepted_attempts=BIT, acceptance=Acceptance(3, START, None))),
        ("sent", Facts(attempt=3, sent_at=START, accepted_attempts=BIT, acceptance=NAMED)),
        ("delivered",
         Facts(attempt=3, sent_at=START, delivered_at=START, accepted_attempts=BIT, acceptance=NAMED)),
        ("read", Facts(attempt=3, sent_at=START, delivered_at=START, read_at=START, accepted_attempts=BIT,
                       acceptance=NAMED)),
        ("replied", Facts(attempt=3, replied_at=START)),
        ("failed", Facts(attempt=3, failed_attempts=BIT, failure=UNDELIVERABLE, accepted_attempts=BIT,
                         acceptance=NAMED)),
        ("rejected", Facts(attempt=3, failed_attempts=BIT, failure=UNDELIVERABLE)),
        ("deferred", Facts(attempt=3, deferred=Wait(3, START))),
        ("expired", Facts(attempt=3, expired=Wait(3, START))),
        ("unknown", Facts(attempt=3, unknown_attempt=3)),
        ("skipped", Facts(attempt=3, skipped=Skip(3, "opted_out"))),
        ("retry", Facts(attempt=3, retry_attempt=3)),
    ],
)  # fmt: skip
def test_each_kind_of_event_states_its_facts(kind: str, stated: Facts) -> None:
    assert facts_of(event(kind, 3), 3) == stated


def test_the_attempt_of_a_message_decides_and_not_that_of_the_event() -> None:
    assert facts_of(event("failed", 1), 3) == Facts(
        attempt=3, failed_attempts=BIT, accepted_attempts=BIT, acceptance=Acceptance(3, START, Wamid("wamid.1")),
        failure=UNDELIVERABLE,
    )  # fmt: skip


def test_only_an_acceptance_states_that_meta_holds_the_message_for_quality() -> None:
    kinds = {kind for kind in EventKind if facts_of(held(event(kind)), 1).held_for_quality}
    assert kinds == {EventKind.ACCEPTED}


def held(one: RecipientEvent) -> RecipientEvent:
    return one.model_copy(update={"held_for_quality": True})


def test_only_a_failure_that_names_its_message_states_an_acceptance() -> None:
    rejected = event("rejected").model_copy(update={"wamid": Wamid("wamid.1")})
    nameless = event("failed").model_copy(update={"wamid": None})
    assert [facts_of(one, 1).accepted_attempts for one in (event("failed"), rejected, nameless)] == [1 << 1, 0, 0]
    assert [facts_of(one, 1).acceptance for one in (rejected, nameless)] == [None, None]


@pytest.mark.parametrize("kind", ["failed", "rejected"])
@pytest.mark.parametrize(
    ("code", "retry_class", "is_held_back"),
    [
        (131049, RetryClass.HELD_BACK, True),
        (131049, RetryClass.NEVER, True),
        (None, RetryClass.HELD_BACK, True),
        (131026, RetryClass.NEVER, False),
        (131000, RetryClass.BACKOFF, False),
    ],
)
def test_a_failure_is_held_back_by_its_code_or_by_its_class(
    kind: str, code: int | None, retry_class: RetryClass, is_held_back: bool
) -> None:
    failed = Failure(code=code, reason="why", retry_class=retry_class, backoff_s=7)
    facts = facts_of(event(kind, 3, failure=failed), 3)
    assert facts.held_back_attempts == (BIT if is_held_back else 0)
    assert facts.failure == FailedAttempt(3, START, code, "why", retry_class, 7)


# ------------------------------------------------------------------------------------------------------------ the merge

ACCEPTANCE, FAILURE = Acceptance(1, START, "w"), FailedAttempt(1, START, 5, "m", RetryClass.BACKOFF, 60)
WAIT, SKIP = Wait(1, START), Skip(1, "m")


def accepted(**changed: Any) -> Acceptance:
    return replace(ACCEPTANCE, **changed)


def failed(**changed: Any) -> FailedAttempt:
    return replace(FAILURE, **changed)


MERGES: list[tuple[str, Any, Any, Any]] = [
    ("attempt", 2, 3, 3),
    ("unknown_attempt", 2, 3, 3),
    ("retry_attempt", 2, 3, 3),
    *((name, START, LATER, START) for name in ("sent_at", "delivered_at", "read_at", "replied_at")),
    *((name, 0b0110, 0b0011, 0b0111) for name in ("accepted_attempts", "failed_attempts", "held_back_attempts")),
    ("held_for_quality", True, False, True),
    ("price", "01 utility/free", "02 marketing/billable", "02 marketing/billable"),
    ("price", "01 marketing/billable", "01 utility/billable", "01 utility/billable"),
    ("acceptance", accepted(), accepted(attempt=2, wamid=None, at=LATER), accepted(attempt=2, wamid=None, at=LATER)),
    ("acceptance", accepted(wamid=None), accepted(at=LATER), accepted(at=LATER)),
    ("acceptance", accepted(wamid="z", at=LATER), accepted(), accepted()),
    ("acceptance", accepted(), accepted(wamid="x"), accepted(wamid="x")),
    ("failure", failed(), failed(attempt=2, code=None, at=LATER), failed(attempt=2, code=None, at=LATER)),
    ("failure", failed(code=None), failed(code=0, at=LATER), failed(code=0, at=LATER)),
    ("failure", failed(code=9, at=LATER), failed(), failed()),
    ("failure", failed(text="z"), failed(code=6, text="a"), failed(code=6, text="a")),
    ("failure", failed(), failed(text="n", backoff_s=0), failed(text="n", backoff_s=0)),
    ("failure", failed(), failed(retry_class=RetryClass.NEVER, backoff_s=0),
     failed(retry_class=RetryClass.NEVER, backoff_s=0)),
    ("failure", failed(), failed(backoff_s=61), failed(backoff_s=61)),
    *((name, Wait(1, LATER), Wait(2, START), Wait(2, START)) for name in ("deferred", "expired")),
    *((name, WAIT, Wait(1, LATER), Wait(1, LATER)) for name in ("deferred", "expired")),
    ("skipped", Skip(1, "z"), Skip(2, "a"), Skip(2, "a")),
    ("skipped", SKIP, Skip(1, "n"), Skip(1, "n")),
]  # fmt: skip
"""A fact, two values of it, and the value that both together give."""


@pytest.mark.parametrize(("name", "one", "other", "both"), MERGES)
def test_the_merge_of_each_fact(name: str, one: Any, other: Any, both: Any) -> None:
    one, other, both = (Facts(**{name: value}) for value in (one, other, both))
    assert merge(one, other) == merge(other, one) == both
    assert merge(one, NOTHING) == merge(NOTHING, one) == one


def test_every_fact_has_an_example_of_its_merge() -> None:
    assert {name for name, *_ in MERGES} == set(FACT_NAMES)


@pytest.mark.parametrize(
    "gap",
    [timedelta(microseconds=1), timedelta(seconds=1), timedelta(seconds=1, microseconds=-1), timedelta(days=1),
     timedelta(days=1, seconds=-1), timedelta(days=400, microseconds=-1)],
)  # fmt: skip
@pytest.mark.parametrize("at", [START, START.replace(hour=23, minute=59, second=59, microsecond=999_999)])
def test_the_earlier_of_two_acceptances_and_failures_holds_to_the_microsecond(at: datetime, gap: timedelta) -> None:
    earlier = Facts(acceptance=accepted(at=at, wamid="a"), failure=failed(at=at, code=1))
    later = Facts(acceptance=accepted(at=at + gap, wamid="z"), failure=failed(at=at + gap, code=9))
    assert merge(earlier, later) == merge(later, earlier) == earlier


# ----------------------------------------------------------------------------------------------------------- the status


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
