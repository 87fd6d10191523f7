"""The bucket never grants more than its rate. Each further throttle lengthens the pause of the brake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pacing import SILENCE_MIN_S, SILENT_POSTS_MIN, Brake, Silence, TokenBucket


@given(st.floats(1, 1000), st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_no_more_than_rate_and_burst_in_any_run(rate: float, gaps: list[float]) -> None:
    bucket, now, valid = TokenBucket(rate=rate, burst=5, tokens=5), 0.0, []
    for gap in gaps:
        now += gap
        valid.append(now + bucket.reserve(now))
    for first in range(0, len(valid), 17):
        for last in range(first, len(valid), 13):
            assert last - first + 1 <= 5 + rate * (valid[last] - valid[first]) + 1.001


def test_waiters_keep_their_order_and_a_pause_refills_at_most_the_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, tokens=2)
    assert [round(bucket.reserve(0.0), 3) for _ in range(4)] == [0, 0, 0.1, 0.2]
    assert [round(bucket.reserve(100.0), 3) for _ in range(3)] == [0, 0, 0.1]


def test_a_stopped_or_reversed_clock_grants_no_permits() -> None:
    bucket = TokenBucket(rate=10, burst=1, tokens=1)
    assert [bucket.reserve(5.0), bucket.reserve(4.0) > 0] == [0, True]


def test_a_bucket_fills_by_its_rate() -> None:
    bucket = TokenBucket(rate=4, burst=10)
    assert [bucket.reserve(0.5), bucket.reserve(0.5), bucket.reserve(0.5)] == [0, 0, 0.25]


def test_a_part_of_a_permit_is_no_wait() -> None:
    bucket = TokenBucket(rate=1, burst=5, tokens=1.5)
    assert [bucket.reserve(0.0), bucket.reserve(0.0)] == [0, 0.5]


def test_answers_that_arrive_together_count_as_one_throttle() -> None:
    brake = Brake(base_s=1, factor=2, cap_s=60)
    assert [brake.pull(0.0), brake.pull(0.1), brake.pull(0.2)] == [1, 0.9, 0.8]
    assert brake.pull(1.0) == 2
    assert brake.wait_s(2.0) == 1


def test_each_further_throttle_holds_longer_by_the_factor_up_to_the_cap() -> None:
    brake, now, waits = Brake(base_s=1, factor=3, cap_s=20), 0.0, []
    for _ in range(5):
        waits.append(brake.pull(now))
        now = brake.until
    assert waits == [1, 3, 9, 20, 20]


def test_a_success_counts_from_the_end_of_the_hold() -> None:
    brake = Brake(base_s=1, factor=2, cap_s=60)
    brake.pull(0.0)
    brake.release(1.0)
    assert brake.strikes == 0


def test_a_hint_may_lengthen_and_a_success_resets() -> None:
    brake = Brake(base_s=1, factor=2, cap_s=60)
    assert brake.pull(0.0, 30) == 30
    brake.release(10.0)
    assert brake.strikes == 1
    brake.release(31.0)
    assert brake.pull(31.0) == 1
    assert brake.wait_s(100.0) == 0


# -------------------------------------------------------------------------------------------------------------- silence


def test_posts_wait_when_several_are_unanswered_and_no_answer_comes() -> None:
    silence = Silence()
    for place in range(SILENT_POSTS_MIN - 1):
        silence.posted(place / 10)
    assert not silence.holds(60.0), "too few to judge"
    silence.posted(0.4)
    assert not silence.holds(0.8)
    assert silence.holds(0.81)


def test_the_wait_begins_after_eight_usual_latencies() -> None:
    silence = Silence()
    silence.ended(silence.posted(10.0), 11.1, is_answer=True)
    assert silence.latency_s == pytest.approx(0.2)
    silence.ended(silence.posted(20.0), 20.7, is_answer=True)
    assert silence.latency_s == pytest.approx(0.25)
    silence.ended(silence.posted(30.0), 39.0, is_answer=False)
    assert silence.latency_s == pytest.approx(0.25), "a timeout states no latency"
    for _ in range(SILENT_POSTS_MIN):
        silence.posted(40.0)
    assert [silence.holds(41.99), silence.holds(42.01)] == [False, True]


def test_each_post_has_its_own_ticket() -> None:
    silence = Silence()
    assert [silence.posted(0.0) for _ in range(3)] == [1, 2, 3]


def test_any_answer_ends_the_wait_and_a_timeout_does_not() -> None:
    silence = Silence()
    first, second, *_ = [silence.posted(0.0) for _ in range(SILENT_POSTS_MIN + 2)]
    silence.ended(first, 20.0, is_answer=False)
    assert silence.holds(20.0)
    silence.ended(second, 20.0, is_answer=True)
    assert not silence.holds(20.0)


def test_an_idle_time_before_the_posts_is_no_silence() -> None:
    silence = Silence(answered_at=5.0)
    for _ in range(SILENT_POSTS_MIN):
        silence.posted(1000.0)
    assert not silence.holds(1000.4)
    assert silence.holds(1000.9)


@given(st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=50))
def test_while_answers_come_every_half_second_nobody_waits(slow: list[tuple[float, bool]]) -> None:
    """Posts without an answer, as many as there may be, hold up nobody while others are answered."""
    silence, now = Silence(), 0.0
    for _ in slow:
        silence.posted(now)
    for _ in range(200):
        now += SILENCE_MIN_S / 2
        silence.ended(silence.posted(now - 0.01), now, is_answer=True)
        assert not silence.holds(now + SILENCE_MIN_S / 2)
