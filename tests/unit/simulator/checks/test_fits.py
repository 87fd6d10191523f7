"""Whether a send fits its template, and the code if it does not, by table."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.account.templates import Template, TemplateStore
from simulator.checks.fits import check_fit, find_sendable
from simulator.checks.refusals import Refused
from simulator.config import TemplateConfig, TemplateStatus

BODY = {"type": "BODY", "text": "Hi {{1}}, {{2}} off {{1}}"}


def template(*components: dict[str, Any], form: str = "POSITIONAL") -> Template:
    return Template("1", "promo", "en_US", "MARKETING", "APPROVED", form, list(components))


def code_of(wanted: Template, *given: dict[str, Any]) -> int | None:
    """The code of the refusal, or None if the components fit."""
    try:
        check_fit(wanted, given)
    except Refused as refused:
        return refused.refusal.code
    return None


def part(kind: str, *texts: str, **named: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [{"type": "text", "text": one} for one in texts]
    parameters += [{"type": "text", "text": value, "parameter_name": name} for name, value in named.items()]
    return {"type": kind, "parameters": parameters}


def medium(kind: str) -> dict[str, Any]:
    return {"type": "header", "parameters": [{"type": kind, kind: {"link": "https://example.com/a"}}]}


def pressed(sub_type: str, index: object, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {"type": "button", "sub_type": sub_type, "index": index, "parameters": list(parameters)}


BUTTONS = {
    "type": "BUTTONS",
    "buttons": [
        {"type": "QUICK_REPLY", "text": "Stop"},
        {"type": "URL", "text": "Go", "url": "https://example.com/{{1}}"},
        {"type": "URL", "text": "Home", "url": "https://example.com"},
    ],
}
TEXT = {"type": "text", "text": "x"}
NAMED = template({"type": "BODY", "text": "Hi {{name}}, {{off}} off"}, form="NAMED")
CAROUSEL = {"type": "CAROUSEL", "cards": [{"components": [{"type": "BODY", "text": "{{1}}"}]}]}


@pytest.mark.parametrize(
    ("wanted", "given", "code"),
    [
        (template(BODY), [part("body", "Ada", "20 %")], None),
        (template(BODY), [part("BODY", "Ada", "20 %")], None),
        (template(BODY), [part("body", "Ada")], 132000),
        (template(BODY), [part("body", "Ada", "20 %", "more")], 132000),
        (template(BODY), [], 132000),
        (template({"type": "BODY", "text": "Hi"}), [part("body", "Ada")], 132000),
        (template({"type": "BODY", "text": "Hi"}), [part("header", "Ada")], 132000),
        (template({"type": "BODY", "text": "Hi"}), [part("body")], None),
        (template(BODY), [part("body", first="Ada", second="x")], 132012),
        (NAMED, [part("body", name="Ada", off="20 %")], None),
        (NAMED, [part("body", off="20 %", name="Ada")], None),
        (NAMED, [part("body", "Ada", "20 %")], 100),
        (NAMED, [part("body", name="Ada", price="20 %")], 132012),
        (NAMED, [part("body", name="Ada")], 132000),
        (template(BODY), [part("body", "x" * 32_000, "y" * 400)], 132005),
        (template(BODY, {"type": "FOOTER", "text": "f"}), [part("body", "x" * 600, "y")], 132005),
        (template(BODY, {"type": "FOOTER", "text": "f"}), [part("body", "x" * 500, "y")], None),
        (template({"type": "HEADER", "format": "TEXT", "text": "Hi {{1}}"}), [part("header", "x" * 58)], 132005),
        (template({"type": "HEADER", "format": "IMAGE"}), [medium("image")], None),
        (template({"type": "HEADER", "format": "IMAGE"}), [medium("video")], 132012),
        (template({"type": "HEADER", "format": "IMAGE"}), [part("header", "x")], 132012),
        (template({"type": "HEADER", "format": "IMAGE"}), [], 132012),
        (template(BUTTONS), [pressed("url", "1", TEXT)], None),
        (template(BUTTONS), [pressed("url", 1, TEXT), pressed("quick_reply", 0)], None),
        (template(BUTTONS), [], 131008),
        (template(BUTTONS), [pressed("url", 0, TEXT), pressed("url", 1, TEXT)], 132012),
        (template(BUTTONS), [pressed("url", 1, TEXT), pressed("url", 7, TEXT)], 132012),
        (template(CAROUSEL), [{"type": "carousel", "cards": [{"components": [part("body", "x")]}]}], None),
        (template(CAROUSEL), [{"type": "carousel", "cards": [{"components": []}]}], 132000),
        (template(CAROUSEL), [], 132000),
    ],
)
def test_a_send_fits_or_gets_its_code(wanted: Template, given: list[dict[str, Any]], code: int | None) -> None:
    assert code_of(wanted, *given) == code


def test_a_template_of_unknown_text_takes_any_parameters() -> None:
    anything = template()
    anything.takes_any_parameters = True
    assert code_of(anything, part("body", "x"), medium("image")) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("APPROVED", None),
        ("PAUSED", 132015),
        ("DISABLED", 132016),
        ("PENDING", 132001),
        ("REJECTED", 132001),
        ("DELETED", 132001),
        ("ARCHIVED", 132001),
    ],
)
def test_the_status_of_a_template_decides_whether_it_is_sent(status: TemplateStatus, code: int | None) -> None:
    store = TemplateStore([TemplateConfig(name="promo", status=status)], are_all_known=True)
    found = None
    try:
        find_sendable(store, "promo", "en_US")
    except Refused as refused:
        found = refused.refusal.code
    assert found == code


def test_an_unseen_name_is_a_template_unless_the_account_is_known() -> None:
    known = [TemplateConfig(name="promo")]
    assert find_sendable(TemplateStore(known, are_all_known=True), "other", "en_US") is None
    for store, name, language in (
        (TemplateStore(known, are_all_known=True), "promo", "de"),
        (TemplateStore(known, are_all_known=False), "other", "en_US"),
    ):
        with pytest.raises(Refused) as refused:
            find_sendable(store, name, language)
        assert (refused.value.refusal.code, refused.value.refusal.http_status) == (132001, 404)
