"""Dead letters say where they come from; too many of them stop a stage."""

import asyncio
from dataclasses import replace

import pytest

from schemas.codec import Malformed
from schemas.dead_letters import DeadLetter, read_headers
from topics.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters, halt_until_stopped

LETTER = DeadLetter("reconciler", "not_json", "webhooks.raw", 3, 41, 2)


def test_headers_come_back_as_a_list_and_as_a_mapping() -> None:
    headers = LETTER.headers("campaign-streams/0")
    assert read_headers(headers) == LETTER
    assert read_headers(dict(headers)) == LETTER


def test_an_error_text_comes_back_cut() -> None:
    letter = replace(LETTER, error="SendJob: attempt: greater_than_equal")
    assert read_headers(letter.headers("x")) == letter
    assert len(read_headers(replace(LETTER, error="x" * 9999).headers("x")).error) == 500


HUGE = [(name, b"9" * 30 if name == "origin_offset" else value) for name, value in LETTER.headers("x")]


@pytest.mark.parametrize("headers", [None, [], [("stage", b"x")], {"stage": b"\xff"}, HUGE])
def test_a_letter_without_its_headers_is_malformed(headers: list[tuple[str, bytes]] | None) -> None:
    with pytest.raises(Malformed):
        read_headers(headers)


def test_a_rate_up_to_the_limit_passes_and_above_it_stops() -> None:
    limit = DeadLetterLimit(10)
    limit.require(0.0, 10, 20)
    limit.add(0.0, 10, 20)
    limit.require(59.0, 0, 20)
    with pytest.raises(TooManyDeadLetters):
        limit.require(59.0, 1, 20)


def test_a_minute_later_there_is_room_again() -> None:
    limit = DeadLetterLimit(10)
    limit.add(0.0, 10, 20)
    limit.require(60.0, 10, 20)


def test_slow_and_steady_is_too_much_as_well() -> None:
    """Bad code in a small deployment: ten items a minute, all of them dead letters."""
    limit = DeadLetterLimit(1000)
    for minute in range(99):
        limit.require(minute * 60.0, 10, 10)
        limit.add(minute * 60.0, 10, 10)
    with pytest.raises(TooManyDeadLetters, match="SHARE_MAX"):
        limit.require(99 * 60.0, 10, 10)


def test_batches_without_items_are_not_remembered() -> None:
    limit = DeadLetterLimit(10)
    for _ in range(100):
        limit.add(0.0, 0, 0)
    assert len(limit._last) == 0


def test_a_share_is_of_the_last_items() -> None:
    limit = DeadLetterLimit(100_000)
    limit.add(0.0, 0, 50_000)
    for _ in range(10):
        limit.require(0.0, 100, 100)
        limit.add(0.0, 100, 100)
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, 1, 1)
    limit.require(0.0, 0, 1)
    DeadLetterLimit(100_000, share_max=1.0).require(0.0, 5000, 5000)


async def test_a_stage_that_stands_still_beats_and_ends_at_the_stop() -> None:
    stop, beats = asyncio.Event(), [0]

    def beat() -> None:
        beats[0] += 1
        stop.set()

    await asyncio.wait_for(halt_until_stopped(TooManyDeadLetters("x"), "test", stop, beat), 10)
    assert beats == [1]


def test_half_of_a_large_batch_passes_and_more_stops() -> None:
    limit = DeadLetterLimit(100_000)
    limit.require(0.0, 500, 1000)
    limit.require(0.0, 999, 999)
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, 501, 1000)
