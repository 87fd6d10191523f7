"""Too many dead letters halt a stage."""

import asyncio

import pytest

from topics.dead_letter_limit import DeadLetterLimit, Load, TooManyDeadLetters, halt_until_stopped


def load(letters: int, items: int) -> Load:
    return Load(letters, letters, items)


def test_a_rate_up_to_the_limit_passes_and_above_it_stops() -> None:
    limit = DeadLetterLimit(10)
    limit.require(0.0, load(10, 20))
    limit.add(0.0, load(10, 20))
    limit.require(59.0, load(0, 20))
    with pytest.raises(TooManyDeadLetters):
        limit.require(59.0, load(1, 20))


def test_the_limit_is_free_again_after_a_minute() -> None:
    limit = DeadLetterLimit(10)
    limit.add(0.0, load(10, 20))
    limit.require(60.0, load(10, 20))


def test_a_low_and_constant_rate_can_exceed_the_limit() -> None:
    """Bad code in a small deployment: ten items a minute, all of them dead letters."""
    limit = DeadLetterLimit(1000)
    for minute in range(99):
        limit.require(minute * 60.0, load(10, 10))
        limit.add(minute * 60.0, load(10, 10))
    with pytest.raises(TooManyDeadLetters, match="SHARE_MAX"):
        limit.require(99 * 60.0, load(10, 10))


def test_empty_batches_are_not_counted() -> None:
    limit = DeadLetterLimit(10)
    for _ in range(100):
        limit.add(0.0, load(0, 0))
    assert len(limit._last) == 0


def test_the_share_is_computed_from_the_last_items() -> None:
    limit = DeadLetterLimit(100_000)
    limit.add(0.0, load(0, 50_000))
    for _ in range(10):
        limit.require(0.0, load(100, 100))
        limit.add(0.0, load(100, 100))
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, load(1, 1))
    limit.require(0.0, load(0, 1))
    DeadLetterLimit(100_000, share_max=1.0).require(0.0, load(5000, 5000))


async def test_a_halted_stage_beats_and_ends_at_the_stop() -> None:
    stop, beats = asyncio.Event(), [0]

    def beat() -> None:
        beats[0] += 1
        stop.set()

    await asyncio.wait_for(halt_until_stopped(TooManyDeadLetters("x"), "test", stop, beat), 10)
    assert beats == [1]


def test_half_of_a_large_batch_may_fail_and_more_stops_the_stage() -> None:
    limit = DeadLetterLimit(100_000)
    limit.require(0.0, load(500, 1000))
    limit.require(0.0, load(999, 999))
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, load(501, 1000))


def test_a_body_counts_by_the_part_of_it_that_is_dead() -> None:
    limit = DeadLetterLimit(100_000)
    limit.require(0.0, Load(1000, 499.0, 1000))
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, Load(1000, 501.0, 1000))


def test_one_record_that_cannot_be_divided_passes_in_a_minute_of_its_own() -> None:
    limit = DeadLetterLimit(10)
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, load(11, 11))
    limit.require(0.0, load(11, 11), is_divisible=False)
    limit.add(0.0, load(1, 1))
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, load(11, 11), is_divisible=False)
