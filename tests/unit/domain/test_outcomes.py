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
    Rejected,
    Throttled,
    UnknownOutcome,
    outcome_of_answer,
    outcome_of_error,
)
from domain.people import PersonKey
from schemas.reasons import TransportError


def _error(code: Any, **more: Any) -> bytes:
    return orjson.dumps({"error": {"message": "no", "code": code, **more}})


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


def test_a_held_message_is_accepted_and_flagged() -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A", "message_status": "held_for_quality_assessment"}]})
    assert outcome_of_answer(200, body) == Accepted("wamid.A", held=True)


@pytest.mark.parametrize("body", [b'{"messages":[{"id":7}]}', b'{"messages":[{}]}', b'{"messages":[{"id":""}]}'])
def test_200_with_messages_and_without_a_wamid_is_still_accepted(body: bytes) -> None:
    assert outcome_of_answer(200, body) == Accepted(None)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"status":"ok"}', b'{"messages":[]}', b'{"messages":"x"}', b'{"messages":[null]}']
)
def test_200_without_messages_is_unknown_and_does_not_come_from_the_cloud_api(body: bytes) -> None:
    said = outcome_of_answer(200, body)
    assert isinstance(said, UnknownOutcome)
    assert said.is_foreign


def test_a_nul_in_an_answer_does_not_reach_the_database() -> None:
    body = orjson.dumps({"messages": [{"id": "wamid.A\0B"}]})
    assert outcome_of_answer(200, body) == Accepted("wamid.AB")
    assert outcome_of_answer(200, b'{"messages":[{"id":"\\u0000"}]}') == Accepted(None)
    said = outcome_of_answer(400, _error(131026, error_data={"details": "a\0b"}))
    assert said == Rejected(131026, "no: ab")


@pytest.mark.parametrize("code", [10**12, -1, "9" * 30, True, 1.5, "²"])
def test_a_code_that_no_column_can_hold_counts_as_none(code: object) -> None:
    said = outcome_of_answer(400, _error(code))
    assert isinstance(said, Rejected)
    assert said.code is None


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


@pytest.mark.parametrize(("text", "seconds"), [("1.5", 1.5), ("-1", None), ("Wed, 21 Oct", None), ("9e9", 3600.0)])
def test_retry_after_is_limited_and_an_invalid_one_is_ignored(text: str, seconds: float | None) -> None:
    assert outcome_of_answer(429, b"", text) == Throttled(ThrottleScope.NUMBER, None, seconds)


@pytest.mark.parametrize("code", [131000, 131016, 2, 133004])
def test_5xx_with_a_retryable_code_is_certainly_not_sent(code: int) -> None:
    outcome = outcome_of_answer(500, _error(code))
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


@pytest.mark.parametrize("body", [b"", b"<html>", _error(None), _error(999_999), _error(3), _error(131045)])
def test_any_other_5xx_is_unknown(body: bytes) -> None:
    assert isinstance(outcome_of_answer(500, body), UnknownOutcome)


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
    assert isinstance(outcome_of_error(trouble), NotSent if before else UnknownOutcome)


@given(st.integers(100, 599), st.binary(max_size=200), st.none() | st.text(max_size=20))
def test_every_answer_has_an_outcome(status: int, body: bytes, retry_after: str | None) -> None:
    outcome = outcome_of_answer(status, body, retry_after)
    assert isinstance(outcome, Accepted) == (status == 200 and not isinstance(outcome, UnknownOutcome))
