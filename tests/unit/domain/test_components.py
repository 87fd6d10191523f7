"""Component objects: all forms of the Cloud API are accepted, and faults are refused with their path."""

from __future__ import annotations

from typing import Any

import pytest

from domain.component_values import VALUES
from domain.components import BUTTON_PARAMETERS, PARAMETER_TYPES, parse_components
from domain.parameter_texts import InvalidTemplateParameters
from schemas.reasons import ParameterRefusal as Reason
from tests.support.components import body, button, header, text

RIGHT: list[dict[str, Any]] = [
    body(text("Ana"), text("Bea")),
    body(text("Ana", parameter_name="first_name")),
    {"type": "body"},
    {"type": "footer"},
    {"type": "footer", "parameters": []},
    header("text", "Sale"),
    body(text("a" * 20_000), text("b" * 12_768)),
    button(index="9"),
    button(),
    button(sub_type="quick_reply", index="1", parameters=[{"type": "payload", "payload": "STOP"}]),
    button(sub_type="copy_code", parameters=[{"type": "coupon_code", "coupon_code": "SAVE20"}]),
    button(sub_type="flow", parameters=[{"type": "action", "action": {"flow_token": "t", "data": {"n": 1.5}}}]),
    {"type": "carousel", "cards": [
        {"card_index": 0, "components": [header("image", {"id": "1"}), body(text("Ana")), button()]}]},
]  # fmt: skip


@pytest.mark.parametrize("component", RIGHT)
def test_every_form_of_the_cloud_api_is_accepted_as_it_is(component: dict[str, Any]) -> None:
    assert parse_components([component], "c") == [component]


def test_several_components_have_different_places() -> None:
    cards = [{"card_index": n, "components": [body()]} for n in (9, 0)]
    components: list[dict[str, Any]] = [
        header("text", "a" * 60), body(text("a" * 1000), text("b" * 24)), button(), button(index="1"),
        {"type": "carousel", "cards": cards},
    ]  # fmt: skip
    assert parse_components(components, "c") == components
    assert parse_components(({"type": "body", "parameters": (text("tuple"),)},), "c") == [body(text("tuple"))]


def test_absent_optional_values_are_left_out() -> None:
    assert parse_components([{"type": "body", "parameters": None}], "c") == [{"type": "body"}]
    assert parse_components([body(text("Ana", parameter_name=None))], "c") == [body(text("Ana"))]
    written = header("document", {"id": None, "link": "https://a.b", "caption": None})
    assert parse_components([written], "c") == [header("document", {"link": "https://a.b"})]
    product = header("product", {"product_retailer_id": 7, "catalog_id": None})
    assert parse_components([product], "c") == [header("product", {"product_retailer_id": "7"})]


def test_an_index_may_have_a_zero_before_it() -> None:
    assert parse_components([button(index="07")], "c") == [button(index="7")]


def test_capital_letters_numbers_and_indices_take_the_form_of_the_api() -> None:
    written = [{"type": "BODY", "parameters": [{"type": "TEXT", "TEXT": "x"} | text(7)]}]
    with pytest.raises(InvalidTemplateParameters):
        parse_components(written, "c")
    assert parse_components([{"type": "BODY", "parameters": [text(7)]}], "c") == [body(text("7"))]
    assert parse_components([button(index=2)], "c")[0]["index"] == "2"
    place = header("location", {"latitude": 37.44, "longitude": -122})
    assert parse_components([place], "c")[0]["parameters"][0]["location"] == {"latitude": "37.44", "longitude": "-122"}


WRONG: list[tuple[object, Reason, str]] = [
    ("no list", Reason.COMPONENTS_INVALID, "c"),
    (["no object"], Reason.COMPONENTS_INVALID, "c.0"),
    ([{}], Reason.COMPONENTS_INVALID, "c.0.type"),
    ([{"type": "bodies"}], Reason.COMPONENTS_INVALID, "c.0.type"),
    ([{"type": "body", "params": []}], Reason.COMPONENTS_INVALID, "c.0.params"),
    ([body({"type": "image", "image": {"id": "1"}})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.type"),
    ([body(text("a", image={}))], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([body({"type": "text"})], Reason.NULL, "c.0.parameters.0.text"),
    ([body(text("a\nb"))], Reason.FORBIDDEN_WHITESPACE, "c.0.parameters.0.text"),
    ([body(text("a", parameter_name="n"), text("b"))], Reason.MIXED, "c.0.parameters"),
    ([body(text("a", parameter_name="n"), text("b", parameter_name="n"))], Reason.COMPONENTS_INVALID, "c.0.parameters"),
    ([body(text("a", parameter_name="N"))], Reason.NAME_INVALID, "c.0.parameters.0.parameter_name"),
    ([body(text("a")), body(text("b"))], Reason.COMPONENTS_INVALID, "c.1"),
    ([body(text("a" * 1025)), button()], Reason.TOO_LONG, "c.0.parameters.0.text"),
    ([header("text", "a" * 61)], Reason.TOO_LONG, "c.0.parameters.0.text"),
    ([button(sub_type="link")], Reason.COMPONENTS_INVALID, "c.0.sub_type"),
    ([button(index="10")], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=True)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=10**5000)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(), button()], Reason.COMPONENTS_INVALID, "c.1"),
    ([button(sub_type="copy_code", parameters=[{"type": "coupon_code", "coupon_code": "x" * 21}])], Reason.TOO_LONG,
     "c.0.parameters.0.coupon_code"),
    ([button(sub_type="flow", parameters=[{"type": "action", "action": {"n": 1e-300}}])], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.action.n"),
    ([button(index="11")], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index="007")], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=-1)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index="٣")], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=2**63)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(text="x")], Reason.COMPONENTS_INVALID, "c.0.text"),
    ([button(), button(index="1"), button(index=0)], Reason.COMPONENTS_INVALID, "c.2"),
    ([body() for _ in range(21)], Reason.COMPONENTS_INVALID, "c"),
    ([body(*[text("a")] * 1001)], Reason.COMPONENTS_INVALID, "c.0.parameters"),
    ([{"type": "body", "parameters": {}}], Reason.COMPONENTS_INVALID, "c.0.parameters"),
    ([body("a")], Reason.COMPONENTS_INVALID, "c.0.parameters.0"),
    ([body(text("a" * 20_000), text("b" * 12_769))], Reason.TOO_LONG, "c.0.parameters"),
    ([body(text("a" * 1000), text("b" * 25)), button()], Reason.TOO_LONG, "c.0.parameters"),
    ([header("text", "a" * 40) | {"parameters": [text("a" * 40), text("b" * 21)]}], Reason.TOO_LONG, "c.0.parameters"),
    ([button(sub_type="quick_reply", parameters=[{"type": "payload", "payload": "x" * 257}])], Reason.TOO_LONG,
     "c.0.parameters.0.payload"),
    ([button(sub_type="url", parameters=[text("a" * 1025)])], Reason.TOO_LONG, "c.0.parameters.0.text"),
    ([button(sub_type="url", parameters=[{"type": "payload", "payload": "x"}])], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.type"),
    ([body() | {"x" * 60: 1}], Reason.COMPONENTS_INVALID, "c.0." + "x" * 50),
    ([{"type": "carousel", "card": []}], Reason.COMPONENTS_INVALID, "c.0.card"),
    ([{"type": "carousel"}], Reason.COMPONENTS_INVALID, "c.0.cards"),
    ([{"type": "carousel", "cards": [{}] * 11}], Reason.COMPONENTS_INVALID, "c.0.cards"),
    ([{"type": "carousel", "cards": [7]}], Reason.COMPONENTS_INVALID, "c.0.cards.0"),
    ([{"type": "carousel", "cards": [{"index": 0}]}], Reason.COMPONENTS_INVALID, "c.0.cards.0.index"),
    ([{"type": "carousel", "cards": [{"card_index": 10, "components": []}]}], Reason.COMPONENTS_INVALID,
     "c.0.cards.0.card_index"),
    ([{"type": "carousel", "cards": [{"card_index": 0}]}], Reason.COMPONENTS_INVALID, "c.0.cards.0.components"),
    ([{"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "carousel", "cards": []}]}]}],
     Reason.COMPONENTS_INVALID, "c.0.cards.0.components.0.type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "field"), WRONG)
def test_a_fault_is_refused_with_its_path(value: object, reason: Reason, field: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse_components(value, "c")
    assert (refused.value.reason, refused.value.field) == (reason, field)


DETAILS: list[tuple[object, str]] = [
    ({}, "Write a list here."),
    ([7], "Write an object here."),
    ([body()] * 21, "The list has 21 items. At most 20 are possible."),
    ([body(), body()], "There is another component body with the same place."),
    ([{"type": "body", "x": 1}], "This key is unknown here. Known keys: parameters, type."),
    ([button(sub_type="link")], "The sub_type must be one of these: " + ", ".join(sorted(BUTTON_PARAMETERS)) + "."),
    ([{"type": "footer", "parameters": [text("a")]}],
     "The type must be one of these: none: this component takes no parameters."),
    ([button(index=10)], "Write a whole number from 0 to 9."),
    ([body(text("a", parameter_name="n"), text("b"))],
     "Some parameters have a name and others have none. A template has one of both forms."),
    ([body(text("a", parameter_name="n"), text("b", parameter_name="n"))], "Two parameters have the same name."),
    ([body(text("a", parameter_name="N"))],
     "A name has small letters, digits and underscores, and begins with a letter."),
]  # fmt: skip


@pytest.mark.parametrize(("value", "detail"), DETAILS)
def test_a_refusal_says_what_to_write(value: object, detail: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse_components(value, "c")
    assert refused.value.detail == detail


def test_each_type_of_parameter_has_a_reader_or_is_a_text() -> None:
    types = {kind for each in (*PARAMETER_TYPES.values(), *BUTTON_PARAMETERS.values()) for kind in each}
    assert types - VALUES.keys() == {"text", "payload", "coupon_code"}
    assert VALUES.keys() <= types
    assert PARAMETER_TYPES["button"] == {kind for each in BUTTON_PARAMETERS.values() for kind in each}
