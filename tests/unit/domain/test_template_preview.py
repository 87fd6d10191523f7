"""A preview shows what a person reads, and what is missing stays visible."""

from __future__ import annotations

import pytest
from hypothesis import given

from domain.parameters import parse
from domain.template_preview import preview
from domain.templates import VARIABLE, read_template
from tests.support import components as sent
from tests.support.templates import (
    CODE_BUTTON,
    FIXED_URL_BUTTON,
    REPLY_BUTTON,
    URL_BUTTON,
    body,
    buttons,
    generated_rows,
    header,
    template,
)

OFFER = template(
    header("DOCUMENT"),
    body("Hi {{1}},\nonly {{2}} today, {{1}}!"),
    {"type": "FOOTER", "text": "Reply STOP"},
    buttons(URL_BUTTON, FIXED_URL_BUTTON, REPLY_BUTTON, CODE_BUTTON),
)
AMOUNT = {"type": "currency", "currency": {"fallback_value": "$19.90", "code": "USD", "amount_1000": 19900}}
GIVEN = {"components": [
    sent.header("document", {"link": "https://example.com/a.pdf", "filename": "offer.pdf"}),
    sent.body(sent.text("Ana"), AMOUNT),
    sent.button(index="0", parameters=[{"type": "text", "text": "spring"}]),
    sent.button(sub_type="quick_reply", index="2", parameters=[{"type": "payload", "payload": "STOP_PROMO"}]),
    sent.button(sub_type="copy_code", index="3", parameters=[{"type": "coupon_code", "coupon_code": "SAVE20"}]),
]}  # fmt: skip


def test_a_message_is_shown_as_a_person_reads_it() -> None:
    assert preview(OFFER, parse(GIVEN)).lines == [
        "[document: offer.pdf, https://example.com/a.pdf]",
        "Hi Ana,",
        "only $19.90 today, Ana!",
        "Reply STOP",
        "[Shop] -> https://example.com/spring",
        "[Home] -> https://example.com",
        "[Stop] -> STOP_PROMO",
        "[Copy] -> SAVE20",
    ]


def test_a_variable_without_a_parameter_stays() -> None:
    shown = preview(OFFER, parse(["Ana"]))
    assert (shown.header, shown.body) == ("[document]", "Hi Ana,\nonly {{2}} today, Ana!")
    assert shown.buttons[0].target == "https://example.com/{{1}}"


def test_names_and_places_are_filled() -> None:
    named = template(header("LOCATION"), body("Hi {{first_name}}"), parameter_format="NAMED")
    place = sent.header("location", {"latitude": "52.5", "longitude": "13.4", "name": "Store", "address": "Main St 1"})
    shown = preview(named, parse({"components": [place, sent.body(sent.text("Ana", parameter_name="first_name"))]}))
    assert (shown.header, shown.body) == ("[location: Store, Main St 1, 52.5, 13.4]", "Hi Ana")
    assert preview(named, parse({"first_name": "Bea"})).body == "Hi Bea"


def test_the_cards_of_a_carousel_are_shown() -> None:
    card = {"components": [header("IMAGE"), body("Only {{1}}"), buttons(URL_BUTTON)]}
    cards = template(body("Look"), {"type": "CAROUSEL", "cards": [card, card]})
    given_card = {"card_index": 0, "components": [sent.header("image", {"id": "7"}), sent.body(sent.text("9"))]}
    assert preview(cards, parse({"components": [{"type": "carousel", "cards": [given_card]}]})).lines == [
        "Look",
        "card 1:",
        "  [image: 7]",
        "  Only 9",
        "  [Shop] -> https://example.com/{{1}}",
        "card 2:",
        "  [image]",
        "  Only {{1}}",
        "  [Shop] -> https://example.com/{{1}}",
    ]


@pytest.mark.parametrize("parameters", [None, ["{{2}}", "x"], {"first_name": "\\1"}])
def test_texts_are_shown_as_they_are(parameters: object) -> None:
    found = template(body("{{1}}/{{first_name}}/{{2}}"))
    shown = preview(found, parse(parameters)).body
    assert shown is not None
    if isinstance(parameters, dict):
        assert shown == "{{1}}/\\1/{{2}}"


@given(generated_rows())
def test_without_parameters_a_preview_is_the_template_itself(row: dict[str, object]) -> None:
    found = read_template(row)
    assert found is not None
    shown = preview(found, None)
    assert shown.body == found.content.body
    assert len(shown.cards) == len(found.cards)
    assert (shown.header is None) is (found.content.header is None)
    assert [VARIABLE.findall(each.target) for each in shown.buttons] == [
        VARIABLE.findall(each.target) for each in found.content.buttons
    ]
