"""The values of parameters that are no texts: each form that the Cloud API takes, and each fault with its path."""

from __future__ import annotations

from typing import Any

import pytest

from domain.components import parse_components
from domain.json_values import read_json
from domain.parameter_texts import InvalidTemplateParameters
from schemas.reasons import ParameterRefusal as Reason
from tests.support.components import action, body, button, header, nested

RIGHT: list[dict[str, Any]] = [
    body({"type": "currency", "currency": {"fallback_value": "$100.99", "code": "USD", "amount_1000": 100990}}),
    body({"type": "date_time", "date_time": {"fallback_value": "February 25, 1977"}}),
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
    {"type": "limited_time_offer", "parameters": [
        {"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1_790_000_000_000}}]},
]  # fmt: skip


@pytest.mark.parametrize("component", RIGHT)
def test_every_value_that_the_api_takes_is_accepted_as_it_is(component: dict[str, Any]) -> None:
    assert parse_components([component], "c") == [component]


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


WRONG: list[tuple[object, Reason, str]] = [
    ([header("image", {})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([header("image", {"id": "1", "link": "https://a"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image"),
    ([header("image", {"link": "ftp://a/b"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("image", {"link": "http://[a"})], Reason.COMPONENTS_INVALID, "c.0.parameters.0.image.link"),
    ([header("location", {"latitude": 91, "longitude": 0})], Reason.COMPONENTS_INVALID,
     "c.0.parameters.0.location.latitude"),
    ([body({"type": "currency", "currency": {"fallback_value": "1", "code": "usd", "amount_1000": 1}})],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency.code"),
    ([body({"type": "currency", "currency": {"fallback_value": "1", "code": "USD", "amount_1000": 1.5}})],
     Reason.COMPONENTS_INVALID, "c.0.parameters.0.currency.amount_1000"),
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
]  # fmt: skip


@pytest.mark.parametrize(("value", "reason", "field"), WRONG)
def test_a_wrong_value_is_refused_with_its_path(value: object, reason: Reason, field: str) -> None:
    with pytest.raises(InvalidTemplateParameters) as refused:
        parse_components(value, "c")
    assert (refused.value.reason, refused.value.field) == (reason, field)


DETAILS: list[tuple[object, str]] = [
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
