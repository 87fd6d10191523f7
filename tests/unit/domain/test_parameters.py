"""Template parameters: whatever is accepted makes a message that the Cloud API takes; the rest is refused by name."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.json_values import read_json
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse, request_components, stored
from schemas.reasons import ParameterRefusal as Reason
from tests.support.parameters import JSON_VALUES, KEYS, TEMPLATE_PARAMETERS, TEXTS, is_taken


def button(size: int) -> dict[str, Any]:
    """A component whose JSON text has `size` bytes more than an empty one."""
    action = {"type": "action", "action": {"n": "x" * size}}
    return {"type": "button", "sub_type": "flow", "index": "0", "parameters": [action]}


def body_texts(value: object) -> list[str]:
    (body,) = request_components(parse(value))
    assert body["type"] == "body"
    return [parameter["text"] for parameter in body["parameters"]]


def test_numbered_keys_are_positions_in_the_order_of_the_numbers() -> None:
    given = {str(n): f"text {n}" for n in (1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9)}
    assert body_texts(given) == [f"text {n}" for n in range(1, 12)]
    assert body_texts({"2": "second", "1": "first"}) == ["first", "second"]


def test_names_go_with_their_texts() -> None:
    (body,) = request_components(parse({"shop": "Acme", "first_name": "Ana"}))
    assert body["parameters"] == [
        {"type": "text", "parameter_name": "first_name", "text": "Ana"},
        {"type": "text", "parameter_name": "shop", "text": "Acme"},
    ]


def test_numbers_keep_their_text() -> None:
    assert body_texts(read_json(b"[19.90, 10000000000000000.0, 7, -0, 1e5]")) == [
        "19.90", "10000000000000000.0", "7", "-0", "1e5",
    ]  # fmt: skip


def test_positions_are_texts_of_the_body_in_the_form_of_the_api() -> None:
    assert request_components(parse(["Ana"])) == [{"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}]


def test_components_are_taken_in_the_form_of_the_api() -> None:
    given = {"components": [{"type": "BODY", "parameters": [{"type": "text", "text": 7}]}]}
    components = [{"type": "body", "parameters": [{"type": "text", "text": "7"}]}]
    assert request_components(parse(given)) == components
    assert stored(parse(given)) == {"components": components}


@pytest.mark.parametrize("value", [["Ana"], {"name": "Ana"}, {"components": [button(0) | {"index": "7"}]}])
def test_the_texts_of_a_person_are_in_no_log(value: object) -> None:
    assert repr(parse(value)) in ("Positional()", "Named()", "Components()")


@pytest.mark.parametrize("nothing", [None, [], {}, {"components": []}])
def test_a_template_may_have_no_parameters(nothing: object) -> None:
    assert parse(nothing) is None
    assert request_components(None) == []
    assert stored(None) is None


LARGEST = 128 * 1024 - len(orjson.dumps([button(0)]))
LARGE_BUTTON = button(LARGEST + 1)

WRONG: list[tuple[object, Reason, str]] = [
    ("text", Reason.NOT_PARAMETERS, "template_parameters"),
    (7, Reason.NOT_PARAMETERS, "template_parameters"),
    (True, Reason.NOT_PARAMETERS, "template_parameters"),
    ({"1": "a", "3": "c"}, Reason.GAP, "template_parameters.2"),
    ({"2": "b"}, Reason.GAP, "template_parameters.1"),
    ({"1000": "a"}, Reason.GAP, "template_parameters.1"),
    ({"0": "a", "1": "b"}, Reason.NAME_INVALID, "template_parameters.0"),
    ({"01": "a"}, Reason.NAME_INVALID, "template_parameters.01"),
    ({"99999": "a"}, Reason.NAME_INVALID, "template_parameters.99999"),
    ({"1": "a", "name": "b"}, Reason.MIXED, "template_parameters"),
    ({"components": [], "name": "b"}, Reason.MIXED, "template_parameters"),
    ({"First Name": "a"}, Reason.NAME_INVALID, "template_parameters.First Name"),
    ({"": "a"}, Reason.NAME_INVALID, "template_parameters."),
    ({"١": "a"}, Reason.NAME_INVALID, "template_parameters.١"),
    ({"name\n": "a"}, Reason.NAME_INVALID, "template_parameters.name\n"),
    ({"n" * 129: "a"}, Reason.NAME_INVALID, "template_parameters." + "n" * 50),
    ({"body": {"1": "a"}}, Reason.NESTED, "template_parameters.body"),
    ([["a"]], Reason.NESTED, "template_parameters.0"),
    ([None], Reason.NULL, "template_parameters.0"),
    ({"name": None}, Reason.NULL, "template_parameters.name"),
    (["a", True], Reason.BOOLEAN, "template_parameters.1"),
    ([float("nan")], Reason.NOT_FINITE, "template_parameters.0"),
    ([float("-inf")], Reason.NOT_FINITE, "template_parameters.0"),
    (read_json(b"[1e400]"), Reason.NOT_FINITE, "template_parameters.0"),
    ([10**4400], Reason.NOT_FINITE, "template_parameters.0"),
    (["", "x"], Reason.EMPTY, "template_parameters.0"),
    (["  "], Reason.EMPTY, "template_parameters.0"),
    (["\u200b\u2060"], Reason.EMPTY, "template_parameters.0"),
    (["\u3164\u2800 \ufe0f"], Reason.EMPTY, "template_parameters.0"),
    (["two\nlines"], Reason.FORBIDDEN_WHITESPACE, "template_parameters.0"),
    (["two\u2028lines"], Reason.FORBIDDEN_WHITESPACE, "template_parameters.0"),
    (["a\tb"], Reason.FORBIDDEN_WHITESPACE, "template_parameters.0"),
    (["five     spaces"], Reason.FORBIDDEN_WHITESPACE, "template_parameters.0"),
    (["five\u00a0 \u00a0 \u00a0spaces"], Reason.FORBIDDEN_WHITESPACE, "template_parameters.0"),
    (["a\0b"], Reason.CHARACTER, "template_parameters.0"),
    (["half \ud83d"], Reason.CHARACTER, "template_parameters.0"),
    (["x" * 40_000], Reason.TOO_LONG, "template_parameters.0"),
    (["x" * 20_000, "y" * 20_000], Reason.TOO_LONG, "template_parameters"),
    (["x" * 20_000, "y" * 12_769], Reason.TOO_LONG, "template_parameters"),
    (["x"] * 501, Reason.TOO_LARGE, "template_parameters"),
    ({"9" * 60: "a"}, Reason.NAME_INVALID, "template_parameters." + "9" * 50),
    ([-(2**128)], Reason.NOT_FINITE, "template_parameters.0"),
    (["\u3000\u00a0"], Reason.EMPTY, "template_parameters.0"),
    (["\u180e"], Reason.EMPTY, "template_parameters.0"),
    ({"components": [7]}, Reason.COMPONENTS_INVALID, "template_parameters.components.0"),
    ({"components": [LARGE_BUTTON]}, Reason.TOO_LARGE, "template_parameters"),
]


@pytest.mark.parametrize(("value", "reason", "field"), WRONG)
def test_what_cannot_be_sent_is_refused_with_its_place(value: object, reason: Reason, field: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse(value)
    assert (refused.value.reason, refused.value.field) == (reason, field)
    assert refused.value.detail.endswith(".")


def test_four_spaces_and_the_longest_text_are_possible() -> None:
    assert body_texts(["four    spaces", "x" * 32_000]) == ["four    spaces", "x" * 32_000]
    assert body_texts(["x" * 32_768]) == ["x" * 32_768]
    assert body_texts(["x" * 20_000, "y" * 12_768]) == ["x" * 20_000, "y" * 12_768]


def test_the_largest_parameters_are_possible() -> None:
    assert body_texts(["x"] * 500) == ["x"] * 500
    assert body_texts([2**128 - 1]) == [str(2**128 - 1)]
    assert body_texts({"n" * 128: "a"}) == ["a"]
    assert request_components(parse({"components": [button(LARGEST)]})) == [button(LARGEST)]


DETAILS: list[tuple[object, str]] = [
    (7, "Write a list of texts, or an object with names and texts."),
    ({"1": "a", "n": "b"},
     "Some keys are numbers and others are names. A template has positional or named parameters, not both."),
    ({"0": "a"}, 'The keys of positional parameters are "1", "2", "3" and so on.'),
    ({"1": "a", "3": "c"}, 'There is a parameter "3" but no parameter "2".'),
    ({"N": "a"}, "A name has small letters, digits and underscores, and begins with a letter."),
    ({"components": [], "n": "b"},
     "`components` must be the only key. Put the texts of the body into a component of type body."),
    ({"components": [LARGE_BUTTON]}, "The components have 131,073 bytes. At most 131,072 are possible."),
    (["x"] * 501, "There are 501 parameters. At most 500 are possible."),
    ([""], "The text is empty. The Cloud API needs one."),
    (["a\n"], "A text may not have line breaks, tabs, or more than 4 spaces in a row."),
    (["x" * 32_769], "The text has 32,769 characters. At most 32,768 are possible."),
    (["a\0"], "The text has the character '\\x00', which no message can have."),
    (["x" * 20_000] * 2, "The texts have 40,000 characters in total. At most 32,768 are possible."),
    ([True], "true and false are no texts. Write the word that the person shall read."),
    ([None], "The text is missing: it is null."),
    ([[]], "A text or a number belongs here, not a list or an object. Headers and buttons need `components`."),
    ([float("inf")], "The number is not finite, or too large. Write it as a text."),
]  # fmt: skip


@pytest.mark.parametrize(("value", "detail"), DETAILS)
def test_a_refusal_says_what_to_write(value: object, detail: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse(value)
    assert refused.value.detail == detail
    assert str(refused.value) == f"{refused.value.field}: {detail}"


@given(JSON_VALUES | TEMPLATE_PARAMETERS)
def test_any_json_value_is_parsed_or_refused(value: object) -> None:
    with contextlib.suppress(InvalidTemplateParameters):
        parse(value)


@given(TEMPLATE_PARAMETERS)
def test_whatever_is_accepted_makes_a_message_that_is_taken(value: Any) -> None:
    try:
        parameters = parse(value)
    except InvalidTemplateParameters:
        return
    assert is_taken(request_components(parameters)), value


@given(st.lists(TEXTS, max_size=4) | st.dictionaries(KEYS, TEXTS, max_size=4))
def test_whatever_the_api_refuses_as_it_is_written_is_refused(value: list[str] | dict[str, str]) -> None:
    if isinstance(value, list):
        written = [{"type": "text", "text": text} for text in value]
    else:
        written = [{"type": "text", "parameter_name": name, "text": text} for name, text in sorted(value.items())]
    are_positions = isinstance(value, dict) and all(name.isdecimal() for name in value)
    if not are_positions and not is_taken([{"type": "body", "parameters": written}]):
        with pytest.raises(InvalidTemplateParameters):
            parse(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"body": {"1": "a greeting"}}, Reason.NESTED),
        ({"body": ["a greeting"]}, Reason.NESTED),
        ([float("nan"), "Ada"], Reason.NOT_FINITE),
        (["Ada", ""], Reason.EMPTY),
        (["Ada", "line one\r\nline two"], Reason.FORBIDDEN_WHITESPACE),
        (["Ada", "six      spaces"], Reason.FORBIDDEN_WHITESPACE),
        ({"first_name": None}, Reason.NULL),
    ],
)
def test_cells_of_a_spreadsheet_that_cannot_be_sent(value: object, reason: Reason) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse(value)
    assert refused.value.reason == reason


def test_twelve_numbered_cells_and_numbers_of_a_spreadsheet_are_sent_as_they_were_written() -> None:
    row = read_json(orjson.dumps({str(n): f"cell {n}" for n in (12, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6)}))
    assert body_texts(row) == [f"cell {n}" for n in range(1, 13)]
    assert body_texts(read_json(b'{"2": 24.50, "1": 20000000000000000.0}')) == ["20000000000000000.0", "24.50"]


@given(TEMPLATE_PARAMETERS)
def test_stored_parameters_parse_to_themselves(value: Any) -> None:
    try:
        parameters = parse(value)
    except InvalidTemplateParameters:
        return
    assert parse(stored(parameters)) == parameters
