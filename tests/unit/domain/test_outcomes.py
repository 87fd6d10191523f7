"""The outcome of each answer or failure: whether the message may have been sent."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.error_codes import RETRYABLE, ROWS, ErrorClass, ThrottleScope
from domain.outcomes import (
    Accepted,
    NotSent,
    Outcome,
    Rejected,
    Throttled,
    UnknownOutcome,
    has_answer,
    outcome_of_answer,
    outcome_of_error,
)
from domain.people import PersonKey
from schemas.reasons import TransportError


def _error(code: Any, **more: Any) -> bytes:
    return orjson.dumps({"error": {"message": "no", "code": code, **more}})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"<html>", UnknownOutcome("unparsable", is_foreign=True)),
        (200, b"[]", UnknownOutcome("unparsable", is_foreign=True)),
        (200, b"{}", UnknownOutcome("no_messages", is_foreign=True)),
        (200, b'{"messages":[{"id":"wamid.A"}],"error":7}', UnknownOutcome("error_in_200", is_foreign=True)),
        (200, _error(100, error_subcode=33), UnknownOutcome("error_in_200", 100, 33)),
        (200, _error(None), UnknownOutcome("error_in_200")),
        (502, b"Bad Gateway", UnknownOutcome("http_502", is_foreign=True)),
        (302, b"", UnknownOutcome("http_302", is_foreign=True)),
        (500, _error(None), UnknownOutcome("http_500")),
        (503, _error(100, error_subcode=33), UnknownOutcome("http_503_code_100", 100, 33)),
        (399, _error(131026), UnknownOutcome("http_399_code_131026", 131026)),
        (400, _error(131026), Rejected(131026, "no")),
        (499, _error(131026), Rejected(131026, "no")),
        (500, _error(131000), Rejected(131000, "no")),
        (400, b'{"error":{}}', Rejected(None, "no reason given")),
        (400, b'{"error":{"message":7,"error_data":{"details":[]}}}', Rejected(None, "no reason given")),
        (400, b'{"error":{"message":"","error_data":"why"}}', Rejected(None, "why")),
    ],
)
def test_each_form_of_answer_has_its_outcome(status: int, body: bytes, expected: Outcome) -> None:
    assert outcome_of_answer(status, body) == expected


def test_200_is_accepted_with_its_wamid() -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A", "message_status": "accepted"}]})
    assert outcome_of_answer(200, body) == Accepted("wamid.A")


@pytest.mark.parametrize(
    ("contacts", "names"),
    [
        ([{"input": "+525500001234", "wa_id": "5215500001234"}], ("525500001234",)),
        ([{"input": "1", "wa_id": "15550001234", "user_id": "US.1"}], ("15550001234", "user:US.1")),
        ([{"user_id": "US.1", "parent_user_id": "US.ENT.2"}], ("user:US.1", "user:US.ENT.2")),
        ([{"wa_id": "15550001234"}, {"wa_id": "15550001235"}], ()),
        ([{"wa_id": "120363\u0000"}], ()),
        ([{"wa_id": 15550001234, "user_id": ["US.1"]}], ()),
        ([{"wa_id": "+1 555", "user_id": "nobody"}], ()),
        ([None], ()),
        ({"wa_id": "15550001234"}, ()),
        (None, ()),
    ],
)
def test_the_keys_of_the_person_are_read_from_the_one_contact_of_an_answer(
    contacts: object, names: tuple[str, ...]
) -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A"}], "contacts": contacts})
    assert outcome_of_answer(200, body) == Accepted("wamid.A", names=tuple(map(PersonKey, names)))


@pytest.mark.parametrize(
    ("word", "held"), [("held_for_quality_assessment", True), ("paused", True), ("accepted", False), (None, False)]
)
def test_a_held_message_is_accepted_and_flagged(word: str | None, held: bool) -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A", "message_status": word}]})
    assert outcome_of_answer(200, body) == Accepted("wamid.A", held=held)


@pytest.mark.parametrize(("length", "is_kept"), [(1, True), (512, True), (513, False)])
def test_a_wamid_is_kept_up_to_the_length_that_an_event_may_have(length: int, is_kept: bool) -> None:
    body = orjson.dumps({"messages": [{"id": "w" * length}]})
    assert outcome_of_answer(200, body) == Accepted("w" * length if is_kept else None)


@pytest.mark.parametrize("body", [b'{"messages":[{"id":7}]}', b'{"messages":[{}]}', b'{"messages":[{"id":""}]}'])
def test_200_with_messages_and_without_a_wamid_is_still_accepted(body: bytes) -> None:
    assert outcome_of_answer(200, body) == Accepted(None)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"status":"ok"}', b'{"messages":[]}', b'{"messages":"x"}', b'{"messages":[null]}']
)
def test_200_without_messages_is_unknown_and_does_not_come_from_the_cloud_api(body: bytes) -> None:
    found = outcome_of_answer(200, body)
    assert isinstance(found, UnknownOutcome)
    assert found.is_foreign


def test_a_nul_in_an_answer_does_not_reach_the_database() -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A\0B"}]})
    assert outcome_of_answer(200, body) == Accepted("wamid.AB")
    assert outcome_of_answer(200, b'{"messages":[{"id":"\\u0000"}]}') == Accepted(None)
    found = outcome_of_answer(400, _error(131026, error_data={"details": "a\0b"}))
    assert found == Rejected(131026, "no: ab")


@pytest.mark.parametrize("code", [10**12, -1, "9" * 30, True, 1.5, "²"])
def test_a_code_that_no_column_can_hold_counts_as_none(code: object) -> None:
    found = outcome_of_answer(400, _error(code))
    assert isinstance(found, Rejected)
    assert found.code is None


@pytest.mark.parametrize("code", [0, 2_147_483_647, "2147483647", "0000000100"])
def test_a_code_that_a_column_can_hold_is_kept(code: int | str) -> None:
    assert outcome_of_answer(400, _error(code)) == Rejected(int(code), "no")


def test_a_long_reason_is_cut() -> None:
    found = outcome_of_answer(400, orjson.dumps({"error": {"message": "x" * 2001}}))
    assert found == Rejected(None, "x" * 2000)


def test_the_subcode_33_is_kept() -> None:
    assert outcome_of_answer(400, _error(100, error_subcode=33)) == Rejected(100, "no", subcode=33)
    assert outcome_of_answer(400, _error(100, error_subcode="33")) == Rejected(100, "no", subcode=33)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"messages":[{"id":"wam', b'{"error":{"code":1}}'])
def test_a_200_that_cannot_be_read_is_unknown(body: bytes) -> None:
    assert isinstance(outcome_of_answer(200, body), UnknownOutcome)


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_a_throttle_code_is_a_throttle_with_any_http_status(status: int) -> None:
    assert outcome_of_answer(status, _error(130429)) == Throttled(ThrottleScope.NUMBER, 130429)


def test_a_throttle_slows_down_its_own_scope() -> None:
    assert outcome_of_answer(400, _error(131056)) == Throttled(ThrottleScope.RECIPIENT, 131056)
    assert outcome_of_answer(400, _error(80007)) == Throttled(ThrottleScope.ACCOUNT, 80007)


@pytest.mark.parametrize("body", [b"", b"slow down", _error(999_999), _error(100)])
def test_429_is_always_a_throttle(body: bytes) -> None:
    outcome = outcome_of_answer(429, body, "7")
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1.5", 1.5), ("0", 0.0), ("0.5", 0.5), ("-1", None), ("nan", None), ("Wed, 21 Oct", None), ("9e9", 3600.0)],
)
def test_retry_after_is_limited_and_an_invalid_one_is_ignored(text: str, seconds: float | None) -> None:
    assert outcome_of_answer(429, b"", text) == Throttled(ThrottleScope.NUMBER, None, seconds)


@pytest.mark.parametrize("code", [131000, 131016, 2, 133004])
def test_5xx_with_a_retryable_code_is_certainly_not_sent(code: int) -> None:
    outcome = outcome_of_answer(500, _error(code))
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


@pytest.mark.parametrize("body", [b"", b"<html>", _error(None), _error(999_999), _error(3), _error(131045)])
def test_any_other_5xx_is_unknown(body: bytes) -> None:
    outcome = outcome_of_answer(500, body)
    assert isinstance(outcome, UnknownOutcome)
    assert outcome.is_foreign == (b"error" not in body), "only the Cloud API answers with an error object"


def test_4xx_is_rejected_with_code_reason_and_details() -> None:
    outcome = outcome_of_answer(400, _error(131026, error_data={"details": "not on WhatsApp"}))
    assert outcome == Rejected(131026, "no: not on WhatsApp")
    assert outcome_of_answer(400, _error("100", error_data="plain")) == Rejected(100, "no: plain")
    assert outcome_of_answer(400, _error(999, is_transient=True)) == Rejected(999, "no", transient_hint=True)


@pytest.mark.parametrize("status", [301, 302, 307, 204, 400, 404])
def test_an_answer_without_an_error_object_is_unknown(status: int) -> None:
    assert isinstance(outcome_of_answer(status, b"<html>"), UnknownOutcome)


@pytest.mark.parametrize("row", ROWS[::7], ids=lambda row: str(row.code))
def test_every_code_at_400_proves_that_nothing_was_sent(row: Any) -> None:
    outcome = outcome_of_answer(400, _error(row.code))
    assert isinstance(outcome, Throttled if row.error_class is ErrorClass.THROTTLE else Rejected)
    outcome_500 = outcome_of_answer(500, _error(row.code))
    assert isinstance(outcome_500, UnknownOutcome) == (row.error_class not in RETRYABLE)


@pytest.mark.parametrize("trouble", list(TransportError))
def test_only_failures_before_the_first_byte_are_certainly_not_sent(trouble: TransportError) -> None:
    before = trouble in (TransportError.CONNECT, TransportError.POOL, TransportError.UNUSABLE)
    outcome = outcome_of_error(trouble)
    assert isinstance(outcome, NotSent | UnknownOutcome)
    assert (isinstance(outcome, NotSent), outcome.reason) == (before, trouble.value)


@pytest.mark.parametrize(
    ("outcome", "answered"),
    [
        (outcome_of_answer(200, b'{"messages":[{"id":"wamid.A"}]}'), True),
        (outcome_of_answer(200, b"<html>"), True),
        (outcome_of_answer(400, _error(131026)), True),
        (outcome_of_answer(429, b""), True),
        (outcome_of_answer(502, b"Bad Gateway"), True),
        (outcome_of_error(TransportError.TOO_LARGE), True),
        (outcome_of_error(TransportError.CONNECT), False),
        (outcome_of_error(TransportError.POOL), False),
        (outcome_of_error(TransportError.UNUSABLE), False),
        (outcome_of_error(TransportError.TIMEOUT), False),
        (outcome_of_error(TransportError.DISCONNECT), False),
        (outcome_of_error(TransportError.CLIENT), False),
    ],
)
def test_whether_the_server_answered(outcome: Outcome, answered: bool) -> None:
    assert has_answer(outcome) == answered


@given(st.integers(100, 599), st.binary(max_size=200), st.none() | st.text(max_size=20))
def test_every_answer_has_an_outcome(status: int, body: bytes, retry_after: str | None) -> None:
    outcome = outcome_of_answer(status, body, retry_after)
    assert isinstance(outcome, Accepted) == (status == 200 and not isinstance(outcome, UnknownOutcome))
