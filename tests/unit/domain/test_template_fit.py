"""What fits a template and what does not, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from domain.parameters import parse
from domain.template_fit import Rooms, find_faults, long_texts, misfits, misfits_of, rooms_of
from domain.templates import MessageTemplate
from schemas.reasons import ParameterMisfit as Misfit
from schemas.reasons import TemplateFault as Fault
from tests.support import components as given
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

TWO = template(body("{{1}} costs {{2}}"))
NAMED = template(body("Hi {{first_name}}"), parameter_format="NAMED")
IMAGE = template(header("IMAGE"), body("Hi {{1}}"))
TITLE = template(header("TEXT", "Sale of {{1}}"), body("Hi"))
SHOP = template(body("Hi"), buttons(URL_BUTTON, REPLY_BUTTON))
CODE = template(body("Hi"), buttons(CODE_BUTTON))
FIXED = template(body("Hi"), buttons(FIXED_URL_BUTTON))
FLOW = template(body("Hi"), buttons(FLOW_BUTTON))
CARDS = template(body("Hi"), {"type": "CAROUSEL", "cards": [{"components": [header("IMAGE"), body("{{1}}")]}]})
PICTURE = given.header("image", {"link": "https://example.com/a.png"})
ANA = given.body(given.text("Ana"))


def components(*each: dict[str, Any]) -> dict[str, Any]:
    return {"components": list(each)}


@pytest.mark.parametrize(
    ("wanted", "parameters", "reasons"),
    [
        (TWO, ["a", "b"], []),
        (TWO, {"1": "a", "2": "b"}, []),
        (TWO, ["a"], [Misfit.MISSING]),
        (TWO, None, [Misfit.MISSING, Misfit.MISSING]),
        (TWO, ["a", "b", "c"], [Misfit.SUPERFLUOUS]),
        (TWO, {"first_name": "a"}, [Misfit.WRONG_FORM]),
        (NAMED, {"first_name": "Ana"}, []),
        (NAMED, ["Ana"], [Misfit.WRONG_FORM]),
        (NAMED, {"name": "Ana"}, [Misfit.MISSING, Misfit.SUPERFLUOUS]),
        (template(body("Hi")), None, []),
        (template(body("Hi")), ["Ana"], [Misfit.SUPERFLUOUS]),
        (template(body("Hi")), {"name": "Ana"}, [Misfit.SUPERFLUOUS]),
        (IMAGE, ["Ana"], [Misfit.HEADER_MISSING]),
        (IMAGE, components(PICTURE, ANA), []),
        (IMAGE, components(given.header("video", {"id": "1"}), ANA), [Misfit.HEADER_KIND]),
        (IMAGE, components(given.header("text", "Sale"), ANA), [Misfit.HEADER_KIND]),
        (TITLE, components(given.header("text", "shoes")), []),
        (TITLE, None, [Misfit.MISSING]),
        (TITLE, components(PICTURE), [Misfit.HEADER_KIND]),
        (TITLE, components(given.header("text", "s" * 53)), [Misfit.TOO_LONG]),
        (TWO, components(PICTURE, given.body(given.text("a"), given.text("b"))), [Misfit.SUPERFLUOUS]),
        (SHOP, components(given.button()), []),
        (SHOP, None, [Misfit.BUTTON_MISSING]),
        (SHOP, components(given.button(), given.button(index="2")), [Misfit.BUTTON_SUPERFLUOUS]),
        (SHOP, components(given.button(), given.button(index="1")), [Misfit.BUTTON_KIND]),
        (FIXED, components(given.button()), [Misfit.BUTTON_SUPERFLUOUS]),
        (FIXED, None, []),
        (CODE, None, [Misfit.BUTTON_MISSING]),
        (FLOW, None, []),
        (CARDS, None, [Misfit.CARDS]),
        (CARDS, components({"type": "carousel", "cards": [{"card_index": 0, "components": [PICTURE, ANA]}]}), []),
        (CARDS, components({"type": "carousel", "cards": [{"card_index": 0, "components": [ANA]}]}),
         [Misfit.HEADER_MISSING]),
        (template(body("{{1}}{{1}}"), {"type": "FOOTER", "text": "x"}), ["a" * 513], [Misfit.TOO_LONG]),
        (template(body("{{1}}{{1}}"), {"type": "FOOTER", "text": "x"}), ["a" * 512], []),
        (template(body("{{1}}{{1}}")), ["a" * 513], []),
    ],
)  # fmt: skip
def test_each_misfit_has_its_reason(wanted: MessageTemplate, parameters: object, reasons: list[Misfit]) -> None:
    found = misfits(wanted, parse(parameters))
    assert [each.reason for each in found] == reasons
    assert all(each.field.startswith("template_parameters") and each.detail.endswith(".") for each in found)


def test_stored_parameters_that_nothing_can_read_are_a_misfit() -> None:
    [found] = misfits_of(TWO, {"1": "a", "name": "b"})
    assert found.reason is Misfit.UNREADABLE
    assert misfits_of(TWO, ["a", "b"]) == []


def test_a_room_is_what_the_fixed_text_leaves() -> None:
    found = rooms_of(template(header("TEXT", "Sale {{1}}"), body("{{1}} and {{2}}, {{1}}!")))
    assert found.body is not None
    assert (found.body.characters, found.body.weights) == (1024 - 8, {"1": 2, "2": 1})
    assert found.header is not None
    assert (found.header.characters, found.header.weights) == (55, {"1": 1})
    assert rooms_of(template(header("IMAGE"), body("Hi"))) == Rooms(None, None)
    assert [each.field for each in long_texts(TITLE, body=True, header=True)] == [
        "template_parameters.body", "template_parameters.header",
    ]  # fmt: skip
    assert long_texts(TITLE, body=False, header=False) == []


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        ({}, []),
        ({"status": "PAUSED"}, [(Fault.PAUSED, True)]),
        ({"status": "DISABLED"}, [(Fault.DISABLED, True)]),
        ({"status": "PENDING"}, [(Fault.NOT_APPROVED, True)]),
        ({"status": "REJECTED", "rejected_reason": "SCAM"}, [(Fault.NOT_APPROVED, True)]),
        ({"category": "UTILITY"}, [(Fault.NOT_MARKETING, False)]),
        ({"quality_score": {"score": "RED"}}, [(Fault.LOW_QUALITY, False)]),
        ({"quality_score": {"score": "YELLOW"}}, []),
        ({"language": "de"}, [(Fault.LANGUAGE_MISSING, True)]),
        (
            {"status": "PAUSED", "category": "UTILITY", "quality_score": {"score": "RED"}},
            [(Fault.PAUSED, True), (Fault.NOT_MARKETING, False), (Fault.LOW_QUALITY, False)],
        ),
    ],
)
def test_each_fault_of_a_template_refuses_or_warns(changed: dict[str, Any], faults: list[tuple[Fault, bool]]) -> None:
    found = find_faults([template(body("Hi"), **changed)], "en_US", needs_marketing=False, takes_unlisted=False)
    assert [(each.fault, each.refuses) for each in found] == faults


def test_the_marketing_endpoint_needs_a_marketing_template() -> None:
    [found] = find_faults([template(category="UTILITY")], "en_US", needs_marketing=True, takes_unlisted=False)
    assert (found.fault, found.refuses) == (Fault.NOT_MARKETING, True)


@pytest.mark.parametrize("takes_unlisted", [True, False])
def test_a_template_that_is_not_listed_is_refused_unless_a_simulator_takes_it(takes_unlisted: bool) -> None:
    [found] = find_faults([], "en_US", needs_marketing=False, takes_unlisted=takes_unlisted)
    assert (found.fault, found.refuses) == (Fault.NOT_FOUND, not takes_unlisted)
