"""Columns fill the slots of a template by its own names."""

from __future__ import annotations

from typing import Any

import pytest

from domain.template_slots import column_key, parameters_of, slots_of
from domain.templates import MessageTemplate
from tests.support import components as sent
from tests.support.templates import (
    CODE_BUTTON,
    FIXED_URL_BUTTON,
    FLOW_BUTTON,
    REPLY_BUTTON,
    URL_BUTTON,
    body,
    buttons,
    header,
    template,
)

PLAIN = template(body("{{1}} and {{2}}"))
NAMED = template(body("Hi {{first_name}}"), parameter_format="NAMED")
DOCUMENT = template(header("DOCUMENT"), body("Hi {{1}}"), buttons(REPLY_BUTTON, FIXED_URL_BUTTON, URL_BUTTON))
PLACE = template(header("LOCATION"), body("Hi"))
TITLE = template(header("TEXT", "For {{name}}"), body("Hi {{b}}"), buttons(CODE_BUTTON), parameter_format="NAMED")


@pytest.mark.parametrize(
    ("found", "slots"),
    [
        (PLAIN, ("1", "2")),
        (NAMED, ("first_name",)),
        (DOCUMENT, ("1", "header", "header_filename", "button_1", "button_3")),
        (PLACE, ("header_latitude", "header_longitude", "header_name", "header_address")),
        (TITLE, ("b", "header", "button_1")),
        (template(header("TEXT", "Sale"), body("Hi"), buttons(FLOW_BUTTON)), ()),
        (template(header("IMAGE"), body("{{header}}"), parameter_format="NAMED"), ("header",)),
    ],
)
def test_each_variable_header_and_button_has_a_slot(found: MessageTemplate, slots: tuple[str, ...]) -> None:
    assert slots_of(found) == slots


@pytest.mark.parametrize(
    ("found", "values", "parameters"),
    [
        (PLAIN, {"1": "a", "2": "b"}, ["a", "b"]),
        (NAMED, {"first_name": "Ana"}, {"first_name": "Ana"}),
        (DOCUMENT, {"1": "Ana", "header": "", "button_3": ""}, ["Ana"]),
        (
            DOCUMENT,
            {"1": "Ana", "header": "HTTPS://a.b/c.pdf", "header_filename": "c.pdf", "button_3": "x", "button_1": "NO"},
            {"components": [
                sent.header("document", {"link": "HTTPS://a.b/c.pdf", "filename": "c.pdf"}),
                sent.body(sent.text("Ana")),
                sent.button(sub_type="quick_reply", parameters=[{"type": "payload", "payload": "NO"}]),
                sent.button(index="2", parameters=[sent.text("x")]),
            ]},
        ),
        (
            DOCUMENT, {"header": "123"}, {"components": [sent.header("document", {"id": "123"})]},
        ),
        (
            PLACE,
            {"header_latitude": "52.5", "header_longitude": "13.4", "header_name": ""},
            {"components": [sent.header("location", {"latitude": "52.5", "longitude": "13.4"})]},
        ),
        (
            TITLE,
            {"b": "you", "header": "Ana", "button_1": "SAVE"},
            {"components": [
                {"type": "header", "parameters": [sent.text("Ana", parameter_name="name")]},
                sent.body(sent.text("you", parameter_name="b")),
                sent.button(sub_type="copy_code", parameters=[{"type": "coupon_code", "coupon_code": "SAVE"}]),
            ]},
        ),
    ],
)  # fmt: skip
def test_the_values_of_slots_make_parameters(found: MessageTemplate, values: dict[str, str], parameters: Any) -> None:
    assert parameters_of(found, values) == parameters


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("First name", "first_name"),
        ("{{first_name}}", "first_name"),
        (" {{ 1 }} ", "1"),
        ("Button-1", "button_1"),
        ("", ""),
    ],
)
def test_the_header_of_a_column_is_compared_without_its_form(written: str, key: str) -> None:
    assert column_key(written) == key
