"""The laws of trace ids, of the sampling decision, and of the header."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.traces import SpanPlace, Step, is_sampled, place_of, read_traceparent, trace_id_of, traceparent

RECIPIENT = UUID("0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0")
ATTEMPTS = st.integers(1, 62)
TRACE_IDS = st.integers(1, 2**128 - 1)
PLACES = st.builds(SpanPlace, TRACE_IDS, st.integers(1, 2**64 - 1))


def test_the_ids_of_an_attempt_stay_as_they_are() -> None:
    """Processes of two versions run together, and a webhook of today may belong to a message of last week."""
    trace_id = trace_id_of(RECIPIENT, 1)
    assert f"{trace_id:032x}" == "4a30009f1e99e650a9adb3384e38b54f"
    assert f"{place_of(trace_id, Step.RELEASE).span_id:016x}" == "f22a56ceedd0ca73"
    assert f"{place_of(trace_id, Step.RECONCILE, 'read t/0@1[2]').span_id:016x}" == "d1af9fb3a71354df"


@given(st.uuids(), st.uuids(), ATTEMPTS, ATTEMPTS)
def test_each_attempt_has_a_trace_of_its_own(one: UUID, other: UUID, first: int, second: int) -> None:
    is_same = (one, first) == (other, second)
    assert (trace_id_of(one, first) == trace_id_of(other, second)) == is_same
    assert 0 < trace_id_of(one, first) < 2**128


@given(TRACE_IDS, st.sampled_from(Step), st.sampled_from(Step), st.text(), st.text())
def test_each_step_has_a_span_of_its_own(trace_id: int, one: Step, other: Step, key: str, another: str) -> None:
    first, second = place_of(trace_id, one, key), place_of(trace_id, other, another)
    assert (first == second) == ((one, key) == (other, another))
    assert first.trace_id == trace_id
    assert 0 < first.span_id < 2**64


@given(TRACE_IDS, st.floats(0, 1), st.floats(0, 1))
def test_a_trace_that_is_recorded_stays_so_at_a_higher_ratio(trace_id: int, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_sampled(trace_id, high) or not is_sampled(trace_id, low)
    assert is_sampled(trace_id, 1)
    assert not is_sampled(trace_id, 0)


@pytest.mark.parametrize("ratio", [0.01, 0.25, 0.5])
def test_the_ratio_is_the_share_of_the_attempts(ratio: float) -> None:
    recorded = sum(is_sampled(trace_id_of(UUID(int=n), 1), ratio) for n in range(20_000))
    assert recorded == pytest.approx(20_000 * ratio, rel=0.2)


def test_the_sampler_of_a_collector_decides_alike() -> None:
    """It drops what is below its threshold, by the lowest 56 bits: W3C Trace Context, level 2."""
    threshold = int(0.75 * 2**56)
    assert not is_sampled((7 << 56) + threshold - 1, 0.25)
    assert is_sampled((7 << 56) + threshold, 0.25)


@given(PLACES)
def test_a_header_is_read_back(place: SpanPlace) -> None:
    assert read_traceparent(traceparent(place)) == place


@given(st.binary(max_size=80))
def test_any_bytes_are_a_place_or_nothing(value: bytes) -> None:
    assert read_traceparent(value) is None or len(value) >= 55


TRACE, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "is_recorded"),
    [
        (b"00-" + TRACE + b"-" + SPAN + b"-01", True),
        (b"00-" + TRACE + b"-" + SPAN + b"-03", True),  # other flags are allowed
        (b"cc-" + TRACE + b"-" + SPAN + b"-01-more", True),  # a later version may have more parts
        (b"00-" + TRACE + b"-" + SPAN + b"-00", False),  # not sampled
        (b"00-" + TRACE + b"-" + SPAN + b"-01-more", False),
        (b"ff-" + TRACE + b"-" + SPAN + b"-01", False),
        (b"00-" + b"0" * 32 + b"-" + SPAN + b"-01", False),
        (b"00-" + TRACE + b"-" + b"0" * 16 + b"-01", False),
        (b"00-" + TRACE.upper() + b"-" + SPAN + b"-01", False),
        (b"", False),
    ],
)
def test_headers_of_the_standard(value: bytes, is_recorded: bool) -> None:
    assert (read_traceparent(value) is not None) == is_recorded
