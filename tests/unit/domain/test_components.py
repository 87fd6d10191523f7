"""Component objects: all forms of the Cloud API are accepted, and faults are refused with their path."""

from __future__ import annotations

from typing import Any

import pytest

from domain.components import parse_components
from domain.parameter_texts import InvalidTemplateParameters
from schemas.reasons import ParameterRefusal as Reason


def text(value: object, **more: object) -> dict[str, object]:
    return {"type": "text", "text": value, **more}


def body(*parameters: object) -> dict[str, object]:
    return {"type": "body", "parameters": list(parameters)}


def button(**changed: object) -> dict[str, object]:
    known: dict[str, object] = {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("suffix")]}
    return known | changed


def header(kind: str, value: object) -> dict[str, object]:
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}


RIGHT: list[dict[str, Any]] = [
    body(text("Ana"), text("Bea")),
    body(text("Ana", parameter_name="first_name")),
    body({"type": "currency", "currency": {"fallback_value": "$100.99", "code": "USD", "amount_1000": 100990}}),
    body({"type": "date_time", "date_time": {"fallback_value": "February 25, 1977"}}),
    {"type": "body"},
    header("text", "Sale"),
    header("image", {"link": "https://example.com/a.png"}),
    header("video", {"id": "1234567890"}),
    header("document", {"link": "https://example.com/a.pdf", "filename": "a.pdf"}),
    header("location", {"latitude": "37.44", "longitude": "-122.16", "name": "Park", "address": "1 Street"}),
    button(),
    button(sub_type="quick_reply", index="1", parameters=[{"type": "payload", "payload": "STOP"}]),
    button(sub_type="copy_code", parameters=[{"type": "coupon_code", "coupon_code": "SAVE20"}]),
    button(sub_type="flow", parameters=[{"type": "action", "action": {"flow_token": "t", "data": {"n": 1.5}}}]),
    {"type": "limited_time_offer", "parameters": [
        {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_790_000_000_000}}]},
    {"type": "carousel", "cards": [
        {"card_index": 0, "components": [header("image", {"id": "1"}), body(text("Ana")), button()]}]},
]  # fmt: skip


@pytest.mark.parametrize("component", RIGHT)
def test_every_form_of_the_cloud_api_is_accepted_as_it_is(component: dict[str, Any]) -> None:
    assert parse_components([component], "c") == [component]


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
    ([header("image", {})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([header("image", {"id": "1", "link": "https://a"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([header("image", {"link": "ftp://a/b"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("image", {"link": "http://[a"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("location", {"latitude": 91, "longitude": 0})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.location.latitude"),
    ([button(sub_type="link")], Reason.COMPONENTS_INVALID, "c.0.sub_type"),
    ([button(index="10")], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=True)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(index=10**5000)], Reason.COMPONENTS_INVALID, "c.0.index"),
    ([button(), button()], Reason.COMPONENTS_INVALID, "c.1"),
    ([button(sub_type="copy_code", parameters=[{"type": "coupon_code", "coupon_code": "x" * 21}])], Reason.TOO_LONG,
     "c.0.parameters.0.coupon_code"),
    ([body({"type": "currency", "currency": {"fallback_value": "1", "code": "usd", "amount_1000": 1}})],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency.code"),
    ([body({"type": "currency", "currency": {"fallback_value": "1", "code": "USD", "amount_1000": 1.5}})],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency.amount_1000"),
    ([button(sub_type="flow", parameters=[{"type": "action", "action": {"n": 1e-300}}])], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.action.n"),
    ([{"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "carousel", "cards": []}]}]}],
     Reason.COMPONENTS_INVALID, "c.0.cards.0.components.0.type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "field"), WRONG)
def test_a_fault_is_refused_with_its_path(value: object, reason: Reason, field: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse_components(value, "c")
    assert (refused.value.reason, refused.value.field) == (reason, field)
