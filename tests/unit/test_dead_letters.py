"""Dead letters say where they come from; too many of them stop a stage."""

from dataclasses import replace

import pytest

from runtime.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from schemas.codec import Malformed
from schemas.dead_letters import DeadLetter, read_headers

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
    limit.add(0.0, 10)
    limit.require(59.0, 0, 20)
    with pytest.raises(TooManyDeadLetters):
        limit.require(59.0, 1, 20)


def test_a_minute_later_there_is_room_again() -> None:
    limit = DeadLetterLimit(10)
    limit.add(0.0, 10)
    limit.require(60.0, 10, 20)


def test_half_of_a_large_batch_passes_and_more_stops() -> None:
    limit = DeadLetterLimit(100_000)
    limit.require(0.0, 500, 1000)
    limit.require(0.0, 999, 999)
    with pytest.raises(TooManyDeadLetters):
        limit.require(0.0, 501, 1000)
