"""The pair limit: a table of attempts, and the law that two messages of a pair are six seconds apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pairs import PAIR_S, REMEMBERED_S, PairAttempt, PairState, is_busy

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOON - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("attempts", "busy"),
    [
        ([], False),
        ([PairAttempt(PairState.RELEASED, ago(100))], True),
        ([PairAttempt(PairState.CLAIMED, ago(100))], True),
        ([PairAttempt(PairState.RELEASED, ago(REMEMBERED_S))], False),
        ([PairAttempt(PairState.POSTED, ago(20), ago(5.9))], True),
        ([PairAttempt(PairState.POSTED, ago(20), ago(6))], False),
        ([PairAttempt(PairState.POSTED, ago(20))], True),
        ([PairAttempt(PairState.UNPOSTED, ago(1), ago(1))], False),
        ([PairAttempt(PairState.UNPOSTED, ago(1), ago(1)), PairAttempt(PairState.POSTED, ago(9), ago(1))], True),
    ],
)
def test_when_a_pair_is_busy(attempts: list[PairAttempt], busy: bool) -> None:
    assert is_busy(attempts, NOON) is busy


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 3), st.floats(0, 3)), max_size=30))
def test_two_messages_of_a_pair_are_six_seconds_apart(tries: list[tuple[float, float, float]]) -> None:
    """Each try comes so long after the one before. If the pair is free, it is posted and answered after these times."""
    now, attempts, posts = NOON, list[PairAttempt](), list[datetime]()
    for pause, post, answer in tries:
        now += timedelta(seconds=pause)
        known = [
            each
            if each.outcome_at is None or each.outcome_at <= now
            else PairAttempt(PairState.CLAIMED, each.released_at)
            for each in attempts
        ]
        if not is_busy(known, now):
            posted_at = now + timedelta(seconds=post)
            posts.append(posted_at)
            attempts.append(PairAttempt(PairState.POSTED, now, posted_at + timedelta(seconds=answer)))
    gaps = [later - earlier for earlier, later in pairwise(posts)]
    assert all(gap >= timedelta(seconds=PAIR_S) for gap in gaps)
