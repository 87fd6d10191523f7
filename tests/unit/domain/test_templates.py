"""Templates are read as Meta describes them, and what is unknown is not refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from domain.templates import Button, Content, Header, read_template, read_templates, variables_of
from tests.support.parameters import JSON_VALUES
from tests.support.templates import CODE_BUTTON, FLOW_BUTTON, URL_BUTTON, body, buttons, header, row, template


def test_a_template_has_what_a_person_reads() -> None:
    found = template(
        header("IMAGE"), body("Hi {{1}}"), {"type": "FOOTER", "text": "Bye"}, buttons(URL_BUTTON, CODE_BUTTON)
    )
    shown = (Button("url", "Shop", "https://example.com/{{1}}"), Button("copy_code", "Copy", ""))
    assert found.content == Content(Header("image"), "Hi {{1}}", "Bye", shown)
    assert (found.name, found.language, found.status, found.category) == (
        "spring_offer", "en_US", "APPROVED", "MARKETING",
    )  # fmt: skip
    assert (found.quality, found.is_named, found.variables, found.rejected_for) == ("GREEN", False, ("1",), None)


def test_a_carousel_has_cards() -> None:
    card = {"components": [header("VIDEO"), body("Card {{1}}")]}
    found = template(body("Hi"), {"type": "CAROUSEL", "cards": [card, card]})
    assert found.cards == (Content(Header("video"), "Card {{1}}"),) * 2


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("Hello", ()),
        ("{{1}} {{ 2 }} {{1}}", ("1", "2")),
        ("{{2}} {{10}} {{1}}", ("1", "2", "10")),
        ("{{first_name}} {{b}} {{a}}", ("first_name", "b", "a")),
        ("{1} {{}} {{a b}}", ()),
    ],
)
def test_variables_follow_their_numbers_or_else_the_text(text: str, variables: tuple[str, ...]) -> None:
    assert variables_of(text) == variables


@pytest.mark.parametrize(
    ("button", "needs", "takes"),
    [
        (Button("url", target="https://a/{{1}}"), True, True),
        (Button("url", target="https://a"), False, False),
        (Button("copy_code"), True, True),
        (Button("otp"), True, True),
        (Button("quick_reply"), False, True),
        (Button("flow"), False, True),
        (Button("phone_number"), False, False),
        (Button("in_orbit"), False, True),
    ],
)
def test_a_button_knows_its_parameter(button: Button, needs: bool, takes: bool) -> None:
    assert (button.needs_parameter, button.takes_parameter) == (needs, takes)
    assert button.sub_type == ("url" if button.kind == "otp" else button.kind)


@pytest.mark.parametrize(
    "changed",
    [{"quality_score": None}, {"quality_score": {}}, {"quality_score": 7}],
)
def test_a_missing_quality_is_unknown(changed: dict[str, Any]) -> None:
    assert template(body("Hi"), **changed).quality == "UNKNOWN"


def test_words_are_read_in_capital_letters_and_unknown_ones_stay() -> None:
    found = template(body("Hi"), status="in_orbit", category="marketing", quality_score="red", rejected_reason="SCAM")
    assert (found.status, found.category, found.quality, found.rejected_for) == (
        "IN_ORBIT", "MARKETING", "RED", "SCAM",
    )  # fmt: skip
    assert template(buttons(FLOW_BUTTON), header("HOLOGRAM")).content.header == Header("hologram")


def test_a_row_without_a_name_or_a_language_is_no_template() -> None:
    assert read_template(row(name="")) is None
    assert read_template(row(language=None)) is None
    assert [each.name for each in read_templates([row(), 7, {}, row(name="b")])] == ["spring_offer", "b"]
    assert list(read_templates("x")) == []


@given(JSON_VALUES)
def test_no_answer_of_meta_raises(value: object) -> None:
    assert read_template(value) is None or isinstance(value, dict)
    read_template(row() | {"components": value, "quality_score": value, "status": value, "parameter_format": value})
    read_template(row({"type": "BUTTONS", "buttons": value}, {"type": "CAROUSEL", "cards": value}, {"type": value}))
