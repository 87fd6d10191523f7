"""Component objects: all forms of the Cloud API are accepted, and faults are refused with their path."""

from __future__ import annotations

from typing import Any

import pytest

from domain.component_values import VALUES
from domain.components import BUTTON_PARAMETERS, PARAMETER_TYPES, parse_components
from domain.json_values import read_json
from domain.parameter_texts import InvalidTemplateParameters
from schemas.reasons import ParameterRefusal as Reason


def text(value: object, **more: object) -> dict[str, object]:
    return {"type": "text", "text": value, **more}


def body(*parameters: object) -> dict[str, object]:
    return {"type": "body", "parameters": list(parameters)}


def button(**changed: object) -> dict[str, object]:
    known: dict[str, object] = {"type": "button", "sub_type": "url", "index": "0", "parameters": [text("suffix")]}
    return known | changed


def action(value: object) -> dict[str, object]:
    return button(sub_type="flow", parameters=[{"type": "action", "action": value}])


def nested(levels: int) -> object:
    """An object of so many levels, with a number in the innermost."""
    value: object = 1
    for level in range(levels):
        value = {"n": value} if level % 2 else [value]
    return {"n": value}


def header(kind: str, value: object) -> dict[str, object]:
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}


RIGHT: list[dict[str, Any]] = [
    body(text("Ana"), text("Bea")),
    body(text("Ana", parameter_name="first_name")),
    body({"type": "currency", "currency": {"fallback_value": "$100.99", "code": "USD", "amount_1000": 100990}}),
    body({"type": "date_time", "date_time": {"fallback_value": "February 25, 1977"}}),
    {"type": "body"},
    {"type": "footer"},
    {"type": "footer", "parameters": []},
    header("text", "Sale"),
    header("gif", {"id": "a-Z_9"}),
    header("video", {"link": "http://example.com/" + "v" * 2029, "caption": "Look"}),
    header("document", {"id": "1", "caption": "Bill", "filename": "a.pdf"}),
    header("product", {"product_retailer_id": "shoe"}),
    header("product", {"product_retailer_id": "shoe", "catalog_id": "7"}),
    header("location", {"latitude": "-90", "longitude": "+180.00000000000000000000"}),
    {"type": "order_status", "parameters": [{"type": "order_status", "order_status": {"order": {"status": "paid"}}}]},
    {"type": "tap_target_configuration", "parameters": [
        {"type": "tap_target_configuration", "tap_target_configuration": [{"title": "T", "url": "u"}, {}]}]},
    body({"type": "date_time", "date_time": {"fallback_value": "1 May", "calendar": "GREGORIAN", "year": 2026}}),
    body(text("a" * 20_000), text("b" * 12_768)),
    button(index="9"),
    button(sub_type="voice_call", parameters=[
        {"type": "payload", "payload": "x" * 256}, {"type": "ttl_minutes", "ttl_minutes": 2**63 - 1}]),
    *(button(sub_type=kind, parameters=[{"type": "action", "action": {}}])
      for kind in ("catalog", "mpm", "order_details", "spm")),
    action({"none": None, "yes": True, "no": False, "text": "t", "empty": "", "list": [[], {}], "large": -(2**63 - 1)}),
    action({"zero": 0.0, "small": 1e-9, "large": -1e15}),
    action({str(n): n for n in range(1000)}),
    action({"list": list(range(1000)), "k" * 1024: 1}),
    action(nested(9)),
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


def test_the_id_of_a_medium_may_be_a_number() -> None:
    assert parse_components([header("image", {"id": 2**63 - 1})], "c") == [header("image", {"id": str(2**63 - 1)})]


def test_a_fraction_in_an_action_has_its_value() -> None:
    (found,) = parse_components(
        read_json(
            b'[{"type":"button","sub_type":"flow","index":0,"parameters":'
            b'[{"type":"action","action":{"n":1.50,"list":[{"m":2e2}]}}]}]'
        ),
        "c",
    )
    value = found["parameters"][0]["action"]
    assert (value, type(value["n"])) == ({"n": 1.5, "list": [{"m": 200.0}]}, float)


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
    ([header("image", "x")], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([header("image", {"id": "1", "filename": "a.png"})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.image.filename"),
    ([header("image", {"id": True})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.id"),
    ([header("image", {"id": 2**63})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.id"),
    ([header("image", {"id": 1.5})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.id"),
    ([header("image", {"id": "a b"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.id"),
    ([header("image", {"id": "x" * 257})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.id"),
    ([header("image", {"id": "1", "caption": ""})], Reason.EMPTY, "c.0.parameters.0.image.caption"),
    ([header("document", {"id": "1", "filename": "x" * 1025})], Reason.TOO_LONG,
     "c.0.parameters.0.document.filename"),
    ([header("image", {"link": 7})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("image", {"link": "https://a b"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("image", {"link": "https://a.b/" + "x" * 2037})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.image.link"),
    ([header("image", {"link": "https://a\0b"})], Reason.CHARACTER, "c.0.parameters.0.image.link"),
    ([header("image", {"link": "https:///path"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("location", 7)], Reason.COMPONENTS_INVALID, "c.0.parameters.0.location"),
    ([header("location", {"latitude": 1, "longitude": 1, "city": "x"})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.location.city"),
    ([header("location", {"latitude": 0, "longitude": 180.1})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.location.longitude"),
    ([header("location", {"latitude": 0, "longitude": "1" * 26})], Reason.TOO_LONG,
     "c.0.parameters.0.location.longitude"),
    ([header("location", {"latitude": 0, "longitude": "1e1"})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.location.longitude"),
    ([header("location", {"latitude": None, "longitude": 1})], Reason.NULL, "c.0.parameters.0.location.latitude"),
    ([header("location", {"latitude": 0, "longitude": 1, "name": ""})], Reason.EMPTY,
     "c.0.parameters.0.location.name"),
    ([header("product", 7)], Reason.COMPONENTS_INVALID, "c.0.parameters.0.product"),
    ([header("product", {})], Reason.NULL, "c.0.parameters.0.product.product_retailer_id"),
    ([header("product", {"product_retailer_id": "7", "catalog_id": ""})], Reason.EMPTY,
     "c.0.parameters.0.product.catalog_id"),
    ([header("product", {"product_retailer_id": "7", "sku": "1"})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.product.sku"),
    ([body({"type": "currency", "currency": 7})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency"),
    ([body({"type": "currency", "currency": {"code": "USD", "amount_1000": 1}})], Reason.NULL,
     "c.0.parameters.0.currency.fallback_value"),
    ([body({"type": "currency", "currency": {"fallback_value": "1", "code": "USD", "amount_1000": 1, "x": 1}})],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency.x"),
    ([body({"type": "date_time", "date_time": 7})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.date_time"),
    ([body({"type": "date_time", "date_time": {}})], Reason.NULL, "c.0.parameters.0.date_time.fallback_value"),
    ([body({"type": "date_time", "date_time": {"fallback_value": "x", "n": object()}})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.date_time.n"),
    ([{"type": "limited_time_offer", "parameters": [{"type": "limited_time_offer", "limited_time_offer": 7}]}],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.limited_time_offer"),
    ([{"type": "limited_time_offer", "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"ms": 7}}]}],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.limited_time_offer.ms"),
    ([{"type": "limited_time_offer", "parameters": [{"type": "limited_time_offer", "limited_time_offer": {}}]}],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.limited_time_offer.expiration_time_ms"),
    ([{"type": "tap_target_configuration", "parameters": [
        {"type": "tap_target_configuration", "tap_target_configuration": {}}]}], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.tap_target_configuration"),
    ([{"type": "tap_target_configuration", "parameters": [
        {"type": "tap_target_configuration", "tap_target_configuration": [{}, 7]}]}], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.tap_target_configuration.1"),
    ([{"type": "tap_target_configuration", "parameters": [
        {"type": "tap_target_configuration", "tap_target_configuration": [{}, {"n": 2**63}]}]},],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.tap_target_configuration.1.n"),
    ([action(7)], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action"),
    ([action({str(n): n for n in range(1001)})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action"),
    ([action({"k" * 1025: 1})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action"),
    ([action({"a\0": 1})], Reason.CHARACTER, "c.0.parameters.0.action"),
    ([action({"a": "\ud83d"})], Reason.CHARACTER, "c.0.parameters.0.action.a"),
    ([action({"a": list(range(1001))})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.a"),
    ([action({"a": [1, 2**63]})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.a.1"),
    ([action({"a": [{"b": float("inf")}]})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.a.0.b"),
    ([action({"a": {"b": object()}})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.a.b"),
    ([action({"k" * 60: 2**63})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action." + "k" * 50),
    ([action({"a": 1.1e15})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.a"),
    ([action(nested(10))], Reason.COMPONENTS_INVALID, "c.0.parameters.0.action.n" + ".n.0" * 5),
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
    ([header("image", {})], "A medium has either an `id` or a `link`."),
    ([header("image", {"id": "a b"})], "Write the id of an uploaded medium."),
    ([header("image", {"link": "a"})], "Write an absolute address that begins with https:// or http://."),
    ([header("location", {"latitude": 91, "longitude": 0})], "Write degrees from -90 to 90, such as 52.52."),
    ([body({"type": "currency", "currency": {}})], "Write a currency code of ISO 4217, such as USD."),
    ([action({"a": 2**63})], "Write a whole number here."),
    ([action({"a": 1e-300})], "The number is too large or too small. Write it as a text."),
    ([action({"a": object()})], "This is no value of JSON."),
    ([action(nested(10))], "The value is nested deeper than 10 levels."),
    ([action({str(n): n for n in range(1001)})], "The object has more than 1,000 keys."),
    ([action({"k" * 1025: 1})], "A key has more than 1,024 characters."),
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
