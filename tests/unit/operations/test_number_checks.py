"""What the Cloud API answers about a number, and what it means for the pace of the settings."""

from __future__ import annotations

import json

import pytest

from operations.number_checks import judge_answer


def answer(**fields: object) -> bytes:
    return json.dumps({"id": "1", "quality_rating": "GREEN", "throughput": {"level": "STANDARD"}, **fields}).encode()


@pytest.mark.parametrize(
    ("status", "content", "mps", "state", "found"),
    [
        (200, answer(), 80, "ok", "quality GREEN, throughput STANDARD, 80 messages a second"),
        (200, answer(), 250, "warning", "throughput STANDARD, 250"),
        (200, answer(throughput={"level": "HIGH"}), 1000, "ok", "throughput HIGH"),
        (200, answer(throughput={"level": "NEW"}), 5000, "ok", "throughput NEW"),
        (200, answer(throughput=None, quality_rating=5), 80, "ok", "quality not shown, throughput not shown"),
        (401, b'{"error": {"code": 190, "message": "expired"}}', 80, "wrong", "refused (HTTP 401, code 190): expired"),
        (200, b'{"error": {"code": 1}}', 80, "wrong", "code 1"),
        (404, b'{"error": "none"}', 80, "wrong", "HTTP 404, code None"),
        (200, b"<html>", 80, "wrong", "not one of the Cloud API"),
        (200, b"[]", 80, "wrong", "not one of the Cloud API"),
    ],
)
def test_the_meaning_of_an_answer(status: int, content: bytes, mps: int, state: str, found: str) -> None:
    judged = judge_answer(status, content, mps)
    assert judged.state == state
    assert found in judged.found
    assert bool(judged.next_step) == (state != "ok")
