"""What the API refuses in interactive messages, and the code of each refusal, by table."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.checks.interactive import check_interactive
from simulator.checks.refusals import Refused

BODY = {"text": "Pick one"}
ROW = {"id": "1", "title": "One", "description": "First"}


def button(name: str, title: str | None = None) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": name, "title": title or name}}


def buttons(*names: str) -> dict[str, Any]:
    return {"type": "button", "body": BODY, "action": {"buttons": [button(name) for name in names]}}


def rows(*sections: dict[str, Any], title: str = "Open") -> dict[str, Any]:
    return {"type": "list", "body": BODY, "action": {"button": title, "sections": list(sections)}}


def named(kind: str, name: str, **parameters: object) -> dict[str, Any]:
    return {"type": kind, "body": BODY, "action": {"name": name, "parameters": parameters}}


CARD = {"header": {"type": "image", "image": {"link": "https://example.com/a"}}, "action": {"name": "cta_url"}}
ACCEPTED: dict[str, dict[str, Any]] = {
    "buttons": buttons("a", "b", "c"),
    "a header and a footer": {**buttons("a"), "header": {"type": "text", "text": "H"}, "footer": {"text": "F"}},
    "a medium above": {**buttons("a"), "header": {"type": "image", "image": {"link": "https://example.com/a"}}},
    "a list": rows({"rows": [ROW, {"id": "2", "title": "Two", "description": ""}, {"id": "3", "title": "Three"}]}),
    "sections": rows({"title": "A", "rows": [ROW]}, {"title": "B", "rows": [{**ROW, "id": "2"}]}),
    "a link": named("cta_url", "cta_url", display_text="Go", url="https://example.com"),
    "a flow": named("flow", "flow", flow_cta="Open", flow_message_version="3", flow_id="1"),
    "a place": named("location_request_message", "send_location"),
    "a number": named("request_contact_info", "request_contact_info"),
    "a catalog": named("catalog_message", "catalog_message", thumbnail_product_retailer_id="1"),
    "a product": {"type": "product", "action": {"catalog_id": "1", "product_retailer_id": "2"}},
    "products": {
        "type": "product_list",
        "body": BODY,
        "header": {"type": "text", "text": "H"},
        "action": {"catalog_id": "1", "sections": [{"title": "S", "product_items": [{"product_retailer_id": "2"}]}]},
    },
    "an address": named("address_message", "address_message", country="IN"),
    "cards": {"type": "carousel", "body": BODY, "action": {"cards": [CARD, CARD]}},
}
REFUSED: dict[str, tuple[object, int]] = {
    "no object": ([], 100),
    "no kind": ({"body": BODY, "action": {}}, 100),
    "another kind": ({"type": "quiz", "body": BODY, "action": {}}, 100),
    "no body": ({"type": "button", "action": {"buttons": [button("a")]}}, 131008),
    "an empty body": ({**buttons("a"), "body": {"text": ""}}, 131008),
    "a long body": ({**buttons("a"), "body": {"text": "x" * 1025}}, 100),
    "a long footer": ({**buttons("a"), "footer": {"text": "x" * 61}}, 100),
    "another header": ({**buttons("a"), "header": {"type": "poem"}}, 100),
    "a header without a medium": ({**buttons("a"), "header": {"type": "video", "video": {}}}, 131008),
    "no action": ({"type": "button", "body": BODY}, 131008),
    "no buttons": (buttons(), 131009),
    "four buttons": (buttons("a", "b", "c", "d"), 131009),
    "equal buttons": (buttons("a", "a"), 131009),
    "a long title": ({"type": "button", "body": BODY, "action": {"buttons": [button("a", "x" * 21)]}}, 131009),
    "another button": ({"type": "button", "body": BODY, "action": {"buttons": [{"type": "url"}]}}, 100),
    "no sections": (rows(), 131009),
    "no rows": (rows({"rows": []}), 131009),
    "eleven rows": (rows({"rows": [{**ROW, "id": str(n)} for n in range(11)]}), 131009),
    "equal rows": (rows({"rows": [ROW, ROW]}), 131009),
    "a section without a title": (rows({"rows": [ROW]}, {"title": "B", "rows": [ROW]}), 131009),
    "a long button of a list": (rows({"rows": [ROW]}, title="x" * 21), 131009),
    "a long description": (rows({"rows": [{**ROW, "description": "x" * 73}]}), 100),
    "another name": (named("cta_url", "call", display_text="Go", url="https://example.com"), 100),
    "no url": (named("cta_url", "cta_url", display_text="Go"), 100),
    "no flow": (named("flow", "flow", flow_cta="Open", flow_message_version="3"), 131008),
    "no country": (named("address_message", "address_message"), 131008),
    "no product": ({"type": "product", "action": {"catalog_id": "1"}}, 131008),
    "products without a header": ({**ACCEPTED["products"], "header": None}, 131008),
    "one card": ({"type": "carousel", "body": BODY, "action": {"cards": [CARD]}}, 131009),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_valid_interactive_message_is_accepted(name: str) -> None:
    check_interactive(ACCEPTED[name], ())


@pytest.mark.parametrize("name", REFUSED)
def test_an_invalid_interactive_message_gets_its_code(name: str) -> None:
    content, code = REFUSED[name]
    with pytest.raises(Refused) as refused:
        check_interactive(content, ())
    assert refused.value.refusal.code == code
