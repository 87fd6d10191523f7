"""What outcomes say about the scopes of breakers: the table, with the words of the design."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breakers import Scope, Signal
from domain.error_codes import ROWS, ErrorClass
from domain.outcomes import NotSent, Rejected, UnknownOutcome, outcome_of_answer, outcome_of_error
from domain.signals import BY_CLASS, NO_SIGNALS, TOKEN_CODES, Signals, at_number, signals_of, signals_of_status
from schemas.reasons import TransportError


def answered(status: int, code: int | None = None, **more: object) -> Signals:
    return signals_of(outcome_of_answer(status, orjson.dumps({"error": {"code": code, "message": "no", **more}})))


@pytest.mark.parametrize(
    ("status", "code", "more", "letters"),
    [
        (401, 190, {}, "nnnhg"),
        (401, 0, {}, "nnnhg"),
        (400, 131042, {}, "nnnhg"),
        (400, 100, {"error_subcode": 33}, "nnhng"),
        (400, 100, {}, "nrngg"),
        (400, 2500, {}, "nnhng"),
        (400, 132015, {}, "nhggg"),
        (400, 132016, {}, "nhggg"),
        (400, 132069, {}, "noggg"),
        (400, 132000, {}, "nrngg"),
        (400, 999_999, {}, "nrngg"),
        (400, None, {}, "nrngg"),
        (400, 131026, {}, "nnggg"),
        (400, 131049, {}, "nnggg"),
        (500, 131000, {}, "nnbng"),
        (400, 134101, {}, "nbnng"),
        (400, 999_999, {"is_transient": True}, "nnbng"),
        (400, 131056, {}, "onnng"),
        (429, 130429, {}, "nnnng"),
        (400, 132069, {"error_subcode": 7}, "noggg"),
        (400, 134103, {}, "noggg"),
        (400, 613, {}, "nnnng"),
        (500, 100, {"error_subcode": 33}, "nnhng"),
        (500, 100, {}, "nnbng"),
        (500, None, {}, "nnnnb"),
        (500, 134102, {}, "noggg"),
        (500, 3, {}, "nnnhg"),
        (500, 131045, {}, "nnhng"),
        (500, 999_999, {}, "nnbng"),
    ],
)
def test_errors_of_meta(status: int, code: int | None, more: dict[str, object], letters: str) -> None:
    assert answered(status, code, **more).letters == letters


@pytest.mark.parametrize(
    ("status", "code", "more", "shown"),
    [
        (400, 132015, {}, (132015, "code 132015: template paused")),
        (400, 100, {"error_subcode": 33}, (100, "code 100: the number does not exist, or the token may not use it")),
        (500, 100, {"error_subcode": 33}, (100, "code 100: the number does not exist, or the token may not use it")),
        (500, 3, {}, (3, "code 3: capability or permission missing")),
        (500, 999_999, {}, (999_999, "http_500_code_999999")),
        (500, None, {}, (None, "http_500")),
        (400, 999_999, {}, (999_999, "code 999999")),
        (400, None, {}, (None, "an error without a code")),
        (400, 131056, {}, (131056, "code 131056")),
        (429, 130429, {}, (130429, None)),
    ],
)
def test_an_opened_breaker_shows_the_code_and_our_note(
    status: int, code: int | None, more: dict[str, object], shown: tuple[int | None, str | None]
) -> None:
    found = answered(status, code, **more)
    assert (found.code, found.reason) == shown


def test_an_opened_breaker_shows_how_a_post_ended_without_a_code() -> None:
    outcomes = (
        outcome_of_answer(502, b"Bad Gateway"),
        outcome_of_error(TransportError.TIMEOUT),
        outcome_of_error(TransportError.CONNECT),
    )
    shown = [(found.code, found.reason) for found in map(signals_of, outcomes)]
    assert shown == [(None, "http_502"), (None, "timeout"), (None, "connect_failed")]


@pytest.mark.parametrize(
    ("letter", "is_trouble"),
    [("g", False), ("n", False), ("b", True), ("f", True), ("r", True), ("o", True), ("h", True)],
)
@pytest.mark.parametrize("place", range(5))
def test_a_signal_is_trouble_for_its_own_scope(letter: str, is_trouble: bool, place: int) -> None:
    found = Signals("n" * place + letter + "n" * (4 - place))
    assert found.is_trouble == is_trouble
    assert [found.concerns(scope) for scope in Scope] == [is_trouble and at == place for at in range(5)]
    assert not found.concerns()


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b"<html>"), (200, b"<html>login"), (200, b'{"status":"ok"}'), (502, b"Bad Gateway"), (302, b""), (404, b"")],
)
def test_what_is_not_the_cloud_api_feeds_the_endpoint(status: int, body: bytes) -> None:
    assert signals_of(outcome_of_answer(status, body)).letters == "nnnnf"


@pytest.mark.parametrize(
    ("error", "letters"),
    [
        (TransportError.CONNECT, "nnnnb"),
        (TransportError.UNUSABLE, "nnnnb"),
        (TransportError.POOL, "nnnnn"),
        (TransportError.TIMEOUT, "nnnnb"),
        (TransportError.DISCONNECT, "nnnnb"),
        (TransportError.TOO_LARGE, "nnnnf"),
    ],
)
def test_what_ended_without_an_answer(error: TransportError, letters: str) -> None:
    assert signals_of(outcome_of_error(error)).letters == letters


@pytest.mark.parametrize(
    ("rejected", "letters"),
    [
        (Rejected(130429, "no"), "nnnng"),
        (Rejected(131000, "no"), "nnbng"),
        (Rejected(131049, "no"), "nnggg"),
        (Rejected(None, "no"), "nrngg"),
        (Rejected(999_999, "no", transient_hint=True), "nnbng"),
    ],
)
def test_a_refusal_of_any_class_has_signals(rejected: Rejected, letters: str) -> None:
    assert signals_of(rejected).letters == letters
    assert BY_CLASS.keys() == set(ErrorClass)


def test_a_proxy_that_slows_us_down_says_nothing() -> None:
    assert signals_of(outcome_of_answer(429, b"<html>slow down")).letters == "nnnnn"


def test_an_accepted_message_is_good_for_every_scope() -> None:
    found = signals_of(outcome_of_answer(200, b'{"messages":[{"id":"wamid.A"}]}'))
    assert (found.letters, found.is_trouble) == ("ggggg", False)


def test_the_reason_is_ours_and_never_the_text_of_an_answer() -> None:
    found = answered(401, 190, message="the token of +4917100000 expired")
    assert found.reason == "code 190: access token expired or invalid"
    assert (NO_SIGNALS.is_trouble, found.is_trouble) == (False, True)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_every_outcome_has_five_letters(status: int, body: bytes) -> None:
    letters = signals_of(outcome_of_answer(status, body)).letters
    assert [Signal(letter) for letter in letters]
    assert len(letters) == 5


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.code))
def test_a_code_of_one_scope_troubles_that_scope_only(row: object) -> None:
    kind = row.error_class  # type: ignore[attr-defined]
    troubled = {
        ErrorClass.TEMPLATE: 1,
        ErrorClass.NUMBER: 2,
        ErrorClass.ACCOUNT: 3,
        ErrorClass.REQUEST: 1,
    }
    letters = answered(400, row.code).letters  # type: ignore[attr-defined]
    bad = [place for place, letter in enumerate(letters) if letter not in "gn"]
    if kind in troubled:
        assert bad == [troubled[kind]]
    elif kind in (ErrorClass.PERMANENT, ErrorClass.HELD_BACK):
        assert bad == []
    else:
        assert len(bad) <= 1


def test_outcomes_before_the_first_byte_are_not_unknown() -> None:
    assert isinstance(outcome_of_error(TransportError.UNUSABLE), NotSent)
    assert isinstance(outcome_of_error(TransportError.DISCONNECT), UnknownOutcome)


@pytest.mark.parametrize(
    ("code", "letters"),
    [(131042, "nnnhn"), (132015, "nhnnn"), (131048, "nnhnn"), (132069, "nonnn"), (131026, "nnnnn"), (131049, "nnnnn"),
     (131000, "nnnnn"), (100, "nnnnn"), (999_999, "nnnnn"), (None, "nnnnn")],
)  # fmt: skip
def test_a_failed_status_concerns_a_scope_or_nothing(code: int | None, letters: str) -> None:
    assert signals_of_status(code).letters == letters


@pytest.mark.parametrize(
    ("code", "letters"),
    [(190, "nnhng"), (0, "nnhng"), (10, "nnhng"), (200, "nnhng"), (131042, "nnnhg"), (131026, "nnggg"), (33, "nnhng")],
)
def test_what_a_token_of_a_number_causes_holds_that_number_alone(code: int, letters: str) -> None:
    found = answered(400, code)
    assert at_number(found) == replace(found, letters=letters)


def test_the_codes_of_tokens_are_of_the_account() -> None:
    assert {row.error_class for row in ROWS if row.code in TOKEN_CODES} == {ErrorClass.ACCOUNT}
