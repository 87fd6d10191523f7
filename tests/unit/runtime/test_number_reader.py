"""What an answer of the Cloud API about a number means."""

from __future__ import annotations

import orjson
import pytest

from runtime.number_reader import NumberUnreadable, ReadNumber, read_answer


def test_an_answer_shows_the_number_its_quality_and_its_throughput() -> None:
    given = {
        "id": "106", "display_phone_number": "+1 555-000-1", "quality_rating": "GREEN",
        "throughput": {"level": "HIGH"}, "status": "CONNECTED",
    }  # fmt: skip
    assert read_answer(200, orjson.dumps(given)) == ReadNumber("+1 555-000-1", "GREEN", "HIGH", "CONNECTED")


@pytest.mark.parametrize("given", [{"id": "106"}, {"display_phone_number": 5, "throughput": 7, "status": ""}])
def test_what_is_missing_or_odd_is_not_shown(given: object) -> None:
    assert read_answer(200, orjson.dumps(given)) == ReadNumber(None, None, None, None)


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (502, b"<html>", "HTTP 502"),
        (200, b"[]", "not one of the Cloud API"),
        (400, orjson.dumps({"error": {"code": 100, "message": "no such number 15550001234"}}), "code 100"),
        (200, orjson.dumps({"error": {"code": 190}}), "code 190"),
        (401, b"{}", "HTTP 401, code None"),
    ],
)
def test_a_refusal_is_a_sentence_without_a_phone_number(status: int, content: bytes, words: str) -> None:
    with pytest.raises(NumberUnreadable, match=words) as caught:
        read_answer(status, content)
    assert "15550001234" not in str(caught.value)
