"""The laws of the merge: facts form a join-semilattice, and every state of the facts has a status."""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.facts import NOTHING, Facts, facts_of, merge
from domain.status import STATUS_TABLE, Status, next_attempt_at, retry_count, status
from schemas.events import EventKind, RecipientEvent
from tests.support.histories import START, events, histories


def known(history: list[RecipientEvent]) -> Facts:
    return reduce(merge, (facts_of(event, event.attempt or 0) for event in history), NOTHING)


facts = histories.map(known)


@given(facts)
def test_idempotent(a: Facts) -> None:
    assert merge(a, a) == a
    assert merge(a, NOTHING) == a


@given(facts, facts)
def test_commutative(a: Facts, b: Facts) -> None:
    assert merge(a, b) == merge(b, a)


@given(facts, facts, facts)
def test_associative(a: Facts, b: Facts, c: Facts) -> None:
    assert merge(a, merge(b, c)) == merge(merge(a, b), c)


@given(facts, facts)
def test_monotone_a_merge_absorbs_its_parts(a: Facts, b: Facts) -> None:
    both = merge(a, b)
    assert merge(both, a) == both
    assert merge(both, b) == both


@given(histories, st.randoms(use_true_random=False), st.integers(0, 12))
def test_any_order_duplication_and_batching_gives_the_same_facts(
    history: list[RecipientEvent], random: Random, cut: int
) -> None:
    shuffled = [*history, *history[:cut]]
    random.shuffle(shuffled)
    assert merge(known(shuffled[:cut]), known(shuffled[cut:])) == known(history)


@given(facts)
def test_times_are_in_order(a: Facts) -> None:
    if a.read_at is not None:
        assert a.delivered_at is not None
        assert a.delivered_at <= a.read_at
    if a.delivered_at is not None:
        assert a.sent_at is not None
        assert a.sent_at <= a.delivered_at


@given(facts)
def test_exactly_one_status_and_the_first_line_that_holds_decides(a: Facts) -> None:
    assert STATUS_TABLE[-1][2](a)
    assert status(a) in Status


@given(facts, events())
def test_progress_never_goes_back(a: Facts, event: RecipientEvent) -> None:
    order = {Status.SENT: 1, Status.DELIVERED: 2, Status.READ: 3}
    before, after = status(a), status(merge(a, facts_of(event, event.attempt or 0)))
    if before in (Status.DELIVERED, Status.READ):
        assert order.get(after, 0) >= order[before]
    if before is Status.SENT and event.kind is not EventKind.FAILED and event.kind is not EventKind.REJECTED:
        assert order.get(after, 0) >= 1


@given(facts, st.integers(0, 5))
def test_an_attempt_that_may_have_been_sent_is_never_due_automatically(a: Facts, max_retries: int) -> None:
    due = next_attempt_at(a, planned_at=START, created_at=START, max_retries=max_retries)
    word = status(a)
    if word in (Status.SENT, Status.DELIVERED, Status.READ, Status.SKIPPED):
        assert due is None
    if word is Status.UNKNOWN and a.retry_attempt != a.attempt:
        assert due is None
    if word is Status.FAILED and due is not None and a.retry_attempt != a.attempt:
        assert retry_count(a) < max_retries


@given(facts, st.none() | st.just(START))
def test_a_pending_row_is_due_when_planned(a: Facts, planned: datetime | None) -> None:
    if status(a) is Status.PENDING:
        assert next_attempt_at(a, planned_at=planned, created_at=START, max_retries=3) == planned
