"""What the Cloud API shows of a number, and what it means for the pace of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from operations.number_checks import judge_number, judge_refusal
from runtime.cloud_answers import CloudFault
from runtime.number_reader import shown_by


def given(**fields: object) -> dict[str, Any]:
    return {"id": "1", "quality_rating": "GREEN", "throughput": {"level": "STANDARD"}, **fields}


@pytest.mark.parametrize(
    ("answer", "mps", "state", "found"),
    [
        (given(), 80, "ok", "quality GREEN, throughput STANDARD, 80 messages a second"),
        (given(), 250, "warning", "throughput STANDARD, 250"),
        (given(throughput={"level": "HIGH"}), 1000, "ok", "throughput HIGH"),
        (given(throughput={"level": "NEW"}), 5000, "ok", "throughput NEW"),
        (given(throughput=None, quality_rating=5), 80, "ok", "quality not shown, throughput not shown"),
    ],
)
def test_the_meaning_of_an_answer(answer: dict[str, Any], mps: int, state: str, found: str) -> None:
    judged = judge_number(shown_by(answer), mps)
    assert judged.state == state
    assert found in judged.found
    assert bool(judged.next_step) == (state != "ok")


@pytest.mark.parametrize("fault", CloudFault)
def test_every_fault_has_a_next_step(fault: CloudFault) -> None:
    judged = judge_refusal(fault, "The Cloud API refused the read (HTTP 401, code 190): expired")
    assert judged.state == ("warning" if fault is CloudFault.UNREACHABLE else "wrong")
    assert judged.found == "the Cloud API refused the read (HTTP 401, code 190): expired"
    assert judged.next_step
