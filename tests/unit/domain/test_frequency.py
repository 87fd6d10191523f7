"""The frequency cap: a table of situations, and the laws that no window of days has too many messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.frequency import OUTCOME_WAIT, SEND, SKIP, CapJudgement, CapVerdict, FrequencyCap, allowed_at, judge

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CAP = FrequencyCap(messages=2, days=7)


def defer(until: datetime) -> CapJudgement:
    return CapJudgement(CapVerdict.DEFER, until)


@pytest.mark.parametrize(
    ("days_ago", "open_attempts", "wait", "expected"),
    [
        ((), 0, 7 * DAY, SEND),
        ((1,), 0, 7 * DAY, SEND),
        ((1,), 1, 7 * DAY, defer(NOON + OUTCOME_WAIT)),
        ((), 2, timedelta(), defer(NOON + OUTCOME_WAIT)),
        ((1, 3), 0, 7 * DAY, defer(NOON + 4 * DAY)),
        ((1, 3), 5, 7 * DAY, defer(NOON + 4 * DAY)),
        ((1, 3), 0, 4 * DAY, defer(NOON + 4 * DAY)),
        ((1, 3), 0, 3 * DAY, SKIP),
        ((1, 3), 0, timedelta(), SKIP),
        ((1, 2, 3), 0, 7 * DAY, defer(NOON + 5 * DAY)),
        ((1, 7), 0, timedelta(), SEND),
        ((1, 8, 9), 0, timedelta(), SEND),
        ((1, 8), 1, timedelta(), defer(NOON + OUTCOME_WAIT)),
    ],
)
def test_the_judgement_of_a_situation(
    days_ago: tuple[int, ...], open_attempts: int, wait: timedelta, expected: CapJudgement
) -> None:
    posted = [NOON - each * DAY for each in days_ago]
    assert judge(posted, open_attempts, CAP, now=NOON, waits_until=NOON + wait) == expected


CAPS = st.builds(FrequencyCap, messages=st.integers(1, 4), days=st.integers(1, 5))
TIMES = st.lists(st.floats(0, 20).map(lambda days: NOON - days * DAY), max_size=12)


@given(TIMES, CAPS)
def test_at_the_allowed_time_there_is_room_and_just_before_there_is_none(
    posted: list[datetime], cap: FrequencyCap
) -> None:
    at = allowed_at(posted, cap, NOON)
    moment = timedelta(microseconds=1)
    if at is None:
        assert sum(each > NOON - cap.span for each in posted) < cap.messages
    else:
        assert at > NOON
        assert allowed_at(posted, cap, at) is None
        assert allowed_at(posted, cap, at - moment) is not None


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), CAPS)
def test_messages_that_obey_the_cap_never_exceed_it(wishes: list[float], cap: FrequencyCap) -> None:
    """Each wish is a moment at which a recipient of the human is due; one that is deferred is sent at its time."""
    posted: list[datetime] = []
    due = sorted(NOON + wish * DAY for wish in wishes)
    while due:
        now = due.pop(0)
        found = judge(posted, 0, cap, now=now, waits_until=now + 100 * DAY)
        if found.verdict is CapVerdict.SEND:
            posted.append(now)
        elif found.until is not None:
            due = sorted([*due, found.until])
    assert len(posted) == len(wishes)
    for at in posted:
        assert sum(at - cap.span < each <= at for each in posted) <= cap.messages


@given(TIMES, st.integers(0, 3), CAPS, st.floats(0, 10))
def test_a_judgement_does_not_depend_on_the_order_and_never_waits_longer_than_allowed(
    posted: list[datetime], open_attempts: int, cap: FrequencyCap, wait: float
) -> None:
    waits_until = NOON + wait * DAY
    found = judge(posted, open_attempts, cap, now=NOON, waits_until=waits_until)
    assert found == judge(posted[::-1], open_attempts, cap, now=NOON, waits_until=waits_until)
    if found.until is not None:
        assert NOON + OUTCOME_WAIT <= found.until <= max(waits_until, NOON + OUTCOME_WAIT)
