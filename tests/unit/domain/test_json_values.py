"""JSON is read strictly, and a number keeps its text."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_values import JsonNumber, MalformedJson, read_json


@pytest.mark.parametrize("text", ["1.50", "-0", "1e5", "10000000000000000.0", "0.10", "123456789012345678901234567890"])
def test_a_number_keeps_its_text(text: str) -> None:
    number = read_json(text.encode())
    assert isinstance(number, JsonNumber)
    assert number.text == text


def test_plain_integers_are_integers_and_a_number_may_be_infinite() -> None:
    assert read_json(b"[19, -3]") == [19, -3]
    assert type(read_json(b"9" * 20)) is int
    number = read_json(b"1e400")
    assert isinstance(number, JsonNumber)
    assert math.isinf(number)
    assert isinstance(read_json(b"9" * 5000), JsonNumber)


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"a": Infinity}',
        b"[-Infinity]",
        b'{"a": 1, "a": 2}',
        b"{",
        b"",
        b"\xff",
        b"[" * 200_000,
        b"01",
        b"1.",
        b"'a'",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedJson):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"NaN", "NaN is not a JSON number"),
        (b'{"a": 1, "a": 2}', "an object has the key 'a' twice"),
        (b"ab\xff", "byte 2 is not UTF-8"),
        (b'{"b": 1, "a": 2, "c": 3, "a": 4}', "an object has the key 'a' twice"),
        (b'{"%s": 1, "%s": 2}' % (b"k" * 60, b"k" * 60), f"an object has the key '{'k' * 50}' twice"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b"[1,\n}", "Expecting value (line 2, column 1)"),
    ],
)
def test_a_refusal_says_what_is_wrong(body: bytes, text: str) -> None:
    with pytest.raises(MalformedJson) as refused:
        read_json(body)
    assert str(refused.value) == text


def test_a_byte_order_mark_is_allowed() -> None:
    assert read_json(b"\xef\xbb\xbf{}") == {}


NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_every_json_value_is_read_as_it_was_written(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value


@given(st.binary())
def test_any_bytes_give_a_value_or_a_refusal(body: bytes) -> None:
    with contextlib.suppress(MalformedJson):
        read_json(body)
