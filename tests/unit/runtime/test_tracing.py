"""While traces are off nothing is created, and a step finds its parent by the attempt or by a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from domain.traces import HEADER, EndedSpan, Step, place_of, read_traceparent, trace_id_of
from runtime.settings import Settings
from runtime.tracing import TRACES, Traces
from tests.support.spans import values

if TYPE_CHECKING:
    from tests.support.spans import Spans


@dataclass(frozen=True)
class Attempt:
    recipient_id: UUID | None
    attempt: int | None


class Kept:
    """A recorder that keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[EndedSpan] = []

    def take(self, span: EndedSpan) -> None:
        self.spans.append(span)

    def close(self, timeout_s: float) -> None:
        pass


def an_attempt() -> Attempt:
    return Attempt(uuid4(), 1)


def test_traces_are_off_by_default() -> None:
    settings = Settings.model_validate({"kafka_bootstrap_servers": "k:1", "database_url": "postgresql://h/d"})
    traces, attempt = Traces(), an_attempt()
    traces.start(settings, "sender")
    assert not traces.is_on
    assert traces.headers(attempt, Step.RELEASE) is None
    assert traces.place(((HEADER, b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01"),)) is None
    traces.record(Step.SEND, attempt, 1, under=Step.CLAIM)
    traces.close()


def test_an_attempt_that_is_not_sampled_has_no_header_and_no_span() -> None:
    traces, kept = Traces(), Kept()
    traces.use(kept, ratio=0.5)
    attempts = [an_attempt() for _ in range(200)]
    recorded = [each for each in attempts if traces.headers(each, Step.RELEASE) is not None]
    for each in attempts:
        traces.record(Step.RELEASE, each, 1, under=None)
    assert 0 < len(recorded) < 200
    assert [span.attributes["campaigns.recipient_id"] for span in kept.spans] == [
        str(each.recipient_id) for each in recorded
    ]


def test_a_status_without_callback_data_has_no_trace(spans: Spans) -> None:
    nameless = Attempt(None, None)
    assert TRACES.headers(nameless, Step.RECONCILE) is None
    TRACES.record(Step.RECONCILE, nameless, 1, under=Step.CLAIM)
    assert spans.all == []


def test_a_step_has_the_parent_that_its_attempt_or_a_header_names(spans: Spans) -> None:
    attempt = an_attempt()
    TRACES.record(Step.RELEASE, attempt, 1, under=None)
    headers = TRACES.headers(attempt, Step.RELEASE)
    assert headers is not None
    place = TRACES.place((("another", b"header"), *headers))
    assert place is not None
    TRACES.record(Step.CLAIM, attempt, 2, under=place)
    TRACES.record(Step.SEND, attempt, 3, under=Step.CLAIM, key="3", code=131026, wamid=None)
    release, claim, send = spans.one("release"), spans.one("claim"), spans.one("send")
    assert spans.parent_of(release) is None
    assert spans.parent_of(claim) is release
    assert spans.parent_of(send) is claim
    assert values(send) == {
        "campaigns.recipient_id": str(attempt.recipient_id),
        "campaigns.attempt": 1,
        "campaigns.code": 131026,
    }


def test_a_place_in_a_header_is_followed_whatever_the_ratio_of_this_process() -> None:
    """Otherwise a trace would end in the middle while a new ratio is rolled out."""
    traces, kept = Traces(), Kept()
    traces.use(kept, ratio=1e-9)
    attempt = an_attempt()
    trace_id = 5
    traces.record(Step.APPLY, attempt, 1, under=place_of(trace_id, Step.CLAIM))
    assert [span.place.trace_id for span in kept.spans] == [trace_id]


def test_the_header_names_the_step_that_publishes(spans: Spans) -> None:
    attempt = an_attempt()
    assert attempt.recipient_id is not None
    [(name, value)] = TRACES.headers(attempt, Step.RECONCILE, "read t/0@1[2]") or ()
    assert name == "traceparent"
    expected = place_of(trace_id_of(attempt.recipient_id, 1), Step.RECONCILE, "read t/0@1[2]")
    assert read_traceparent(value) == expected


@pytest.mark.parametrize("headers", [(), (("other", b"x"),), ((HEADER, b"not a place"),)])
def test_a_record_without_a_valid_header_is_not_traced(spans: Spans, headers: tuple[tuple[str, bytes], ...]) -> None:
    assert TRACES.place(headers) is None
