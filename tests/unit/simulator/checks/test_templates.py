"""What the API refuses in template objects of any template, and the code of each refusal, by table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.checks.refusals import Refused
from simulator.checks.templates import check_template

TEMPLATE: dict[str, Any] = {"name": "promo", "language": {"code": "en_US"}}
LINK = {"link": "https://example.com/a"}


def code_of(template: object) -> int | None:
    """The code of the refusal, or None if the template object is accepted."""
    try:
        check_template(template, ())
    except Refused as refused:
        return refused.refusal.code
    return None


def components(*given_components: object) -> dict[str, Any]:
    return {**TEMPLATE, "components": list(given_components)}


def body(*parameters: object) -> dict[str, Any]:
    return components({"type": "body", "parameters": list(parameters)})


def text(value: object, **more: object) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


def button(sub_type: object, parameter: object, index: object = "0") -> dict[str, Any]:
    return components({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("promo", 100),
        ({"language": {"code": "en"}}, 131008),
        ({"name": "promo"}, 131008),
        ({"name": "promo", "language": "en"}, 100),
        ({"name": "promo", "language": {}}, 131008),
        ({"name": 7, "language": {"code": "en"}}, 100),
        ({"name": "No Name", "language": {"code": "en"}}, 132001),
        ({"name": "promo", "language": {"code": "en", "policy": "fallback"}}, 100),
        ({**TEMPLATE, "parameters": []}, 100),
        ({**TEMPLATE, "components": {}}, 100),
        (components(1), 100),
        (components({}), 100),
        (components({"type": "sidebar"}), 100),
        (components({"type": 7}), 100),
        (components({"type": "body", "parameters": {}}), 100),
        (components({"type": "body", "text": "x"}), 100),
        (components({"type": "body"}, {"type": "BODY"}), 100),
        (body(1), 100),
        (body({}), 100),
        (body({"type": "poem", "poem": "x"}), 100),
        (body({"type": "image", "image": LINK}), 100),
        (body({"type": "text"}), 131008),
        (body(text("")), 131008),
        (body(text("   ")), 131008),
        (body(text(None)), 131008),
        (body(text(7)), 100),
        (body(text(True)), 100),
        (body(text(["x"])), 100),
        (body(text("a\nb")), 132018),
        (body(text("a\rb")), 132018),
        (body(text("a\tb")), 132018),
        (body(text("a     b")), 132018),
        (body(text("x" * 32_769)), 132005),
        (components({"type": "header"}, {"type": "body", "parameters": [text("x" * 1025)]}), 132005),
        (components({"type": "header", "parameters": [text("x" * 61)]}), 132005),
        (body(text("x", currency="USD")), 100),
        (body(text("x", parameter_name="a"), text("y")), 100),
        (body(text("x", parameter_name="a"), text("y", parameter_name="a")), 100),
        (body(text("x", parameter_name="A b")), 100),
        (body(text("x", parameter_name="")), 131008),
        (body({"type": "currency", "currency": {"code": "USD", "amount_1000": 1}}), 131008),
        (body({"type": "currency", "currency": {"fallback_value": "$1", "code": "dollar", "amount_1000": 1}}), 100),
        (body({"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": "1"}}), 100),
        (body({"type": "date_time", "date_time": {}}), 131008),
        (components({"type": "header", "parameters": [{"type": "image"}]}), 131008),
        (components({"type": "header", "parameters": [{"type": "image", "image": {}}]}), 131008),
        (components({"type": "header", "parameters": [{"type": "image", "image": {"id": "1"}}]}), 100),
        (components({"type": "header", "parameters": [{"type": "location", "location": {}}]}), 131008),
        (components({"type": "button", "index": 0}), 131008),
        (components({"type": "button", "sub_type": "url"}), 131008),
        (button("bell", text("x")), 100),
        (button("url", text("x"), index=10), 100),
        (button("url", text("x"), index=-1), 100),
        (button("url", text("x"), index=True), 100),
        (button("url", {"type": "payload", "payload": "x"}), 100),
        (button("url", text("")), 131008),
        (button("quick_reply", {"type": "payload"}), 131008),
        (button("quick_reply", {"type": "payload", "payload": "x" * 257}), 132005),
        (button("copy_code", {"type": "coupon_code", "coupon_code": "x" * 21}), 132005),
        (components({"type": "carousel", "cards": [{"components": [{"type": "poem"}]}]}), 100),
        (components({"type": "limited_time_offer", "parameters": [{"type": "limited_time_offer"}]}), 131008),
    ],
)
def test_an_invalid_template_object_gets_its_code(template: object, code: int) -> None:
    assert code_of(template) == code


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        {**TEMPLATE, "language": {"code": "en_US", "policy": "deterministic"}, "components": []},
        body(),
        body(text("Ada"), text("20 %")),
        body(text("Ada", parameter_name="first_name"), text("x", parameter_name="b")),
        body(text("a    b")),
        body(text("x" * 32_768)),
        components({"type": "BODY", "parameters": [{"type": "TEXT", "text": "x"}]}),
        body({"type": "currency", "currency": {"fallback_value": "$1", "code": "USD", "amount_1000": 1000}}),
        body({"type": "date_time", "date_time": {"fallback_value": "May"}}),
        components({"type": "header", "parameters": [{"type": "document", "document": {**LINK, "filename": "a.pdf"}}]}),
        button("quick_reply", {"type": "payload", "payload": "STOP"}),
        button("URL", text("x"), index=9),
        button("copy_code", {"type": "coupon_code", "coupon_code": "SAVE20"}),
        button("flow", {"type": "action", "action": {"flow_token": "x"}}),
        components({"type": "carousel", "cards": [{"card_index": 0, "components": [{"type": "body"}]}]}),
        components(
            {
                "type": "limited_time_offer",
                "parameters": [{"type": "limited_time_offer", "limited_time_offer": {"expiration_time_ms": 1}}],
            }
        ),
        components(
            {
                "type": "tap_target_configuration",
                "parameters": [{"type": "tap_target_configuration", "tap_target_configuration": [{"url": "x"}]}],
            }
        ),
    ],
)
def test_a_valid_template_object_is_accepted(template: object) -> None:
    assert code_of(template) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(value=JSON, place=st.sampled_from(["template", "components", "component", "parameters", "parameter", "text"]))
def test_any_json_at_any_place_is_accepted_or_refused(value: object, place: str) -> None:
    shapes: dict[str, object] = {
        "template": value,
        "components": {**TEMPLATE, "components": value},
        "component": components(value),
        "parameters": components({"type": "body", "parameters": value}),
        "parameter": body(value),
        "text": body(text(value)),
    }
    assert code_of(shapes[place]) in {None, 100, 131008, 132001, 132005, 132018}
