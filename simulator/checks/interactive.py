"""Checks interactive messages: buttons, lists, links, flows, products and the other kinds.

Source: Meta's page "Interactive messages" and the page of each kind. Lengths are characters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.checks.contents import MediaIds, check_media, is_url
from simulator.checks.refusals import (
    list_at,
    missing,
    object_at,
    one_of,
    optional_text_at,
    param,
    text_at,
    value_invalid,
)

BODY_MAX = 1024
LIST_BODY_MAX = 4096
HEADER_MAX = 60
FOOTER_MAX = 60
TITLE_MAX = 20
"""Characters of the title of a button."""
BUTTON_ID_MAX = 256
ROW_ID_MAX, ROW_TITLE_MAX, ROW_DESCRIPTION_MAX = 200, 24, 72
BUTTONS_MAX = 3
ROWS_MAX = 10
SECTIONS_MAX = 10
CARDS_MIN, CARDS_MAX = 2, 10
MEDIA_HEADERS = frozenset({"document", "image", "video"})
ACTION_NAMES: Mapping[str, str] = {
    "address_message": "address_message",
    "call_permission_request": "call_permission_request",
    "catalog_message": "catalog_message",
    "cta_url": "cta_url",
    "flow": "flow",
    "location_request_message": "send_location",
    "order_details": "review_and_pay",
    "order_status": "review_order",
    "request_contact_info": "request_contact_info",
    "voice_call": "voice_call",
}
"""The name that the action of each kind has."""
WITHOUT_BODY = frozenset({"product"})
"""Kinds whose body is optional."""
INTERACTIVE_TYPES = frozenset({*ACTION_NAMES, "button", "carousel", "list", "product", "product_list"})
ACTION = "interactive['action']"


def check_interactive(content: object, known: MediaIds) -> None:
    """Raises Refused for an invalid interactive message."""
    interactive = object_at("interactive", content)
    kind = interactive.get("type")
    if not isinstance(kind, str) or kind not in INTERACTIVE_TYPES:
        raise one_of("interactive['type']", INTERACTIVE_TYPES, kind)
    _check_body(interactive, kind)
    _check_header(interactive, kind, known)
    if (footer := interactive.get("footer")) is not None:
        text_at("interactive['footer']['text']", object_at("interactive['footer']", footer).get("text"), FOOTER_MAX)
    if interactive.get("action") is None:
        raise missing("Parameter interactive['action'] is missing")
    action = object_at(ACTION, interactive["action"])
    if kind in ACTION_NAMES:
        _check_named_action(action, kind)
    else:
        _ACTION_CHECKS[kind](action, known)


def _check_body(interactive: Mapping[str, object], kind: str) -> None:
    """The text of the message."""
    body = interactive.get("body")
    if body is None and kind in WITHOUT_BODY:
        return
    if body is None:
        raise missing("Parameter interactive['body'] is missing")
    most = LIST_BODY_MAX if kind == "list" else BODY_MAX
    text_at("interactive['body']['text']", object_at("interactive['body']", body).get("text"), most)


def _check_header(interactive: Mapping[str, object], kind: str, known: MediaIds) -> None:
    """The header, which is a text or a medium. A message with products must have one."""
    value = interactive.get("header")
    if value is None:
        if kind == "product_list":
            raise missing("Parameter interactive['header'] is missing")
        return
    header = object_at("interactive['header']", value)
    form = header.get("type")
    if form == "text":
        text_at("interactive['header']['text']", header.get("text"), HEADER_MAX)
    elif isinstance(form, str) and form in MEDIA_HEADERS:
        check_media(form, header.get(form), known, f"interactive['header']['{form}']")
    else:
        raise one_of("interactive['header']['type']", {"text", *MEDIA_HEADERS}, form)


def _check_named_action(action: Mapping[str, object], kind: str) -> None:
    """An action with a name and parameters."""
    name = ACTION_NAMES[kind]
    if action.get("name") != name:
        raise one_of(f"{ACTION}['name']", (name,), action.get("name"))
    value = action.get("parameters")
    parameters = object_at(f"{ACTION}['parameters']", value) if value is not None else {}
    if kind == "cta_url":
        text_at(f"{ACTION}['parameters']['display_text']", parameters.get("display_text"), TITLE_MAX)
        if not is_url(parameters.get("url")):
            raise param(f"{ACTION}['parameters']['url']", "is not a valid URI.")
    elif kind == "flow":
        text_at(f"{ACTION}['parameters']['flow_cta']", parameters.get("flow_cta"))
        text_at(f"{ACTION}['parameters']['flow_message_version']", parameters.get("flow_message_version"))
        if parameters.get("flow_id") is None and parameters.get("flow_name") is None:
            raise missing("Parameter flow_id or flow_name is missing")
    elif kind in ("address_message", "order_details", "order_status") and not parameters:
        raise missing(f"Parameter {ACTION}['parameters'] is missing")


def _check_buttons(action: Mapping[str, object], _known: MediaIds) -> None:
    """From one to three reply buttons with different ids and titles."""
    buttons = list_at(f"{ACTION}['buttons']", action.get("buttons"))
    if not 1 <= len(buttons) <= BUTTONS_MAX:
        raise value_invalid(f"Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: {BUTTONS_MAX}")
    found: set[tuple[str, str]] = set()
    for index, one in enumerate(buttons):
        path = f"{ACTION}['buttons'][{index}]"
        button = object_at(path, one)
        if button.get("type") != "reply":
            raise one_of(f"{path}['type']", ("reply",), button.get("type"))
        reply = object_at(f"{path}['reply']", button.get("reply"))
        named = {
            ("id", text_at(f"{path}['reply']['id']", reply.get("id"), BUTTON_ID_MAX)),
            ("title", _title(reply.get("title"), TITLE_MAX, "Button")),
        }
        if found & named:
            raise value_invalid("Duplicate button id or title")
        found |= named


def _check_list(action: Mapping[str, object], _known: MediaIds) -> None:
    """A list: a button that opens it, and sections with at most ten rows together."""
    _title(action.get("button"), TITLE_MAX, "Button")
    sections = list_at(f"{ACTION}['sections']", action.get("sections"))
    if not 1 <= len(sections) <= SECTIONS_MAX:
        raise value_invalid(f"Invalid sections count. Min allowed sections: 1, Max allowed sections: {SECTIONS_MAX}")
    ids: list[str] = []
    for index, one in enumerate(sections):
        path = f"{ACTION}['sections'][{index}]"
        section = object_at(path, one)
        if len(sections) > 1 or section.get("title") is not None:
            _title(section.get("title"), ROW_TITLE_MAX, "Section")
        for at, row_value in enumerate(list_at(f"{path}['rows']", section.get("rows"))):
            row = object_at(f"{path}['rows'][{at}]", row_value)
            ids.append(text_at(f"{path}['rows'][{at}]['id']", row.get("id"), ROW_ID_MAX))
            _title(row.get("title"), ROW_TITLE_MAX, "Row")
            optional_text_at(f"{path}['rows'][{at}]['description']", row.get("description"), ROW_DESCRIPTION_MAX)
    if not 1 <= len(ids) <= ROWS_MAX:
        raise value_invalid(f"Total row count exceed max allowed count: {ROWS_MAX}")
    if len(set(ids)) < len(ids):
        raise value_invalid("Duplicate row id")


def _check_product(action: Mapping[str, object], _known: MediaIds) -> None:
    """One product of a catalog."""
    text_at(f"{ACTION}['catalog_id']", action.get("catalog_id"))
    text_at(f"{ACTION}['product_retailer_id']", action.get("product_retailer_id"))


def _check_products(action: Mapping[str, object], _known: MediaIds) -> None:
    """Products of a catalog in sections."""
    text_at(f"{ACTION}['catalog_id']", action.get("catalog_id"))
    sections = list_at(f"{ACTION}['sections']", action.get("sections"))
    if not 1 <= len(sections) <= SECTIONS_MAX:
        raise value_invalid(f"Invalid sections count. Min allowed sections: 1, Max allowed sections: {SECTIONS_MAX}")
    for index, one in enumerate(sections):
        items = object_at(f"{ACTION}['sections'][{index}]", one).get("product_items")
        if not list_at(f"{ACTION}['sections'][{index}]['product_items']", items):
            raise missing(f"Parameter {ACTION}['sections'][{index}]['product_items'] is empty")


def _check_carousel(action: Mapping[str, object], known: MediaIds) -> None:
    """Cards, each with a header."""
    cards = list_at(f"{ACTION}['cards']", action.get("cards"))
    if not CARDS_MIN <= len(cards) <= CARDS_MAX:
        raise value_invalid(f"Invalid cards count. Min allowed cards: {CARDS_MIN}, Max allowed cards: {CARDS_MAX}")
    for index, one in enumerate(cards):
        path = f"{ACTION}['cards'][{index}]"
        card = object_at(path, one)
        if card.get("header") is not None:
            header = object_at(f"{path}['header']", card["header"])
            form = header.get("type")
            if not isinstance(form, str) or form not in MEDIA_HEADERS:
                raise one_of(f"{path}['header']['type']", MEDIA_HEADERS, form)
            check_media(form, header.get(form), known, f"{path}['header']['{form}']")
        object_at(f"{path}['action']", card.get("action"))


def _title(value: object, most: int, what: str) -> str:
    """A title of limited length."""
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= most:
        raise value_invalid(f"{what} title length invalid. Min length: 1, Max length: {most}")
    return value


_ACTION_CHECKS: Mapping[str, Callable[[Mapping[str, object], MediaIds], None]] = {
    "button": _check_buttons,
    "carousel": _check_carousel,
    "list": _check_list,
    "product": _check_product,
    "product_list": _check_products,
}
