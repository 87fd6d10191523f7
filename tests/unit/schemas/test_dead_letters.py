"""The headers of a dead letter are read back as they were written."""

from dataclasses import replace

import pytest

from schemas.codec import Malformed
from schemas.dead_letters import DeadLetter, read_headers
from schemas.places import Place

LETTER = DeadLetter("reconciler", "not_json", Place("webhooks.raw", 3, 41, 2))


def test_headers_are_read_from_a_list_and_from_a_mapping() -> None:
    headers = LETTER.headers("campaign-streams/0")
    assert read_headers(headers) == LETTER
    assert read_headers(dict(headers)) == LETTER


def test_a_long_error_text_is_cut() -> None:
    letter = replace(LETTER, error="SendJob: attempt: greater_than_equal")
    assert read_headers(letter.headers("x")) == letter
    assert len(read_headers(replace(LETTER, error="x" * 9999).headers("x")).error) == 500


HUGE = [(name, b"9" * 30 if name == "origin_offset" else value) for name, value in LETTER.headers("x")]


@pytest.mark.parametrize("headers", [None, [], [("stage", b"x")], {"stage": b"\xff"}, HUGE])
def test_a_letter_without_its_headers_is_malformed(headers: list[tuple[str, bytes]] | None) -> None:
    with pytest.raises(Malformed):
        read_headers(headers)
