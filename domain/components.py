"""Reads the component objects of a template message, as a person or a program writes them for the Cloud API. Pure.

Each component type takes certain types of parameters, and each type of parameter has one value of a certain form. Types
may be in capital letters. The result has them in small letters, and has texts where the API takes texts.

Source: Meta's page "Messages" of the Cloud API reference (template, components and parameter objects), and its pages
about each kind of button.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas.reasons import ParameterRefusal

from domain.component_values import INTEGER_MAX, VALUES, invalid, known_keys, list_of, object_of, word_of
from domain.parameter_texts import InvalidTemplateParameters, check_sum, is_name, parse_text

BODY_CHARACTERS_MAX = 1024
"""Most characters of a body with its parameters, in a message that has other components too."""
LONE_BODY_CHARACTERS_MAX = 32_768
HEADER_CHARACTERS_MAX = 60
CARDS_MAX = 10
COMPONENTS_MAX = 20
BUTTON_INDEX_MAX = 9
_CARDS = "carousel"

PARAMETER_TYPES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "body": frozenset({"text", "currency", "date_time"}),
        "button": frozenset({"text", "payload", "coupon_code", "action", "ttl_minutes"}),
        "footer": frozenset(),
        "header": frozenset(
            {"text", "currency", "date_time", "image", "video", "gif", "document", "location", "product"}
        ),
        "limited_time_offer": frozenset({"limited_time_offer"}),
        "order_status": frozenset({"order_status"}),
        "tap_target_configuration": frozenset({"tap_target_configuration"}),
    }
)
"""The types of parameters that each component takes."""
BUTTON_PARAMETERS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "catalog": frozenset({"action"}),
        "copy_code": frozenset({"coupon_code"}),
        "flow": frozenset({"action"}),
        "mpm": frozenset({"action"}),
        "order_details": frozenset({"action"}),
        "quick_reply": frozenset({"payload"}),
        "spm": frozenset({"action"}),
        "url": frozenset({"text"}),
        "voice_call": frozenset({"payload", "ttl_minutes"}),
    }
)
"""The kinds of buttons, and the types of parameters that each takes."""
TEXT_LIMITS: Mapping[str, int] = MappingProxyType({"payload": 256, "coupon_code": 20})
"""Most characters of the texts that are not part of a header or body."""


def parse_components(value: object, field: str, *, is_card: bool = False) -> list[dict[str, Any]]:
    """The components of one message, or of one card of a carousel. Raises InvalidTemplateParameters."""
    given = list_of(value, field, COMPONENTS_MAX)
    seen: set[tuple[str, str | None]] = set()
    found: list[dict[str, Any]] = []
    for place, one in enumerate(given):
        at = f"{field}.{place}"
        component = object_of(one, at)
        types = PARAMETER_TYPES.keys() | (set() if is_card else {_CARDS})
        kind = word_of(component, "type", at, types)
        if kind == _CARDS:
            read = _carousel(component, at)
        elif kind == "button":
            read = _button(component, at)
        else:
            known_keys(component, at, {"type", "parameters"})
            read = {"type": kind} | _parameters(component, at, PARAMETER_TYPES[kind], _limit(kind, len(given)))
        identity = (kind, read.get("index"))
        if identity in seen:
            raise invalid(at, f"There is another component {kind} with the same place.")
        seen.add(identity)
        found.append(read)
    return found


def _limit(kind: str, components: int) -> int:
    if kind == "header":
        return HEADER_CHARACTERS_MAX
    return LONE_BODY_CHARACTERS_MAX if components == 1 else BODY_CHARACTERS_MAX


def _carousel(component: Mapping[str, object], at: str) -> dict[str, Any]:
    known_keys(component, at, {"type", "cards"})
    cards = []
    for place, one in enumerate(list_of(component.get("cards"), f"{at}.cards", CARDS_MAX)):
        card_at = f"{at}.cards.{place}"
        card = object_of(one, card_at)
        known_keys(card, card_at, {"card_index", "components"})
        index = _index(card, "card_index", card_at, CARDS_MAX - 1)
        components = parse_components(card.get("components"), f"{card_at}.components", is_card=True)
        cards.append({"card_index": index, "components": components})
    return {"type": _CARDS, "cards": cards}


def _button(component: Mapping[str, object], at: str) -> dict[str, Any]:
    known_keys(component, at, {"type", "sub_type", "index", "parameters"})
    kind = word_of(component, "sub_type", at, BUTTON_PARAMETERS.keys())
    index = _index(component, "index", at, BUTTON_INDEX_MAX)
    parameters = _parameters(component, at, BUTTON_PARAMETERS[kind], BODY_CHARACTERS_MAX)
    return {"type": "button", "sub_type": kind, "index": str(index)} | parameters


def _index(component: Mapping[str, object], name: str, at: str, largest: int) -> int:
    value = component.get(name)
    text = str(value) if isinstance(value, int) and abs(value) <= INTEGER_MAX else value
    is_index = isinstance(text, str) and not isinstance(value, bool) and text.isascii() and text.isdigit()
    if not is_index or len(str(text)) > 1 + len(str(largest)) or int(str(text)) > largest:
        raise invalid(f"{at}.{name}", f"Write a whole number from 0 to {largest}.")
    return int(str(text))


def _parameters(
    component: Mapping[str, object], at: str, types: frozenset[str], characters_max: int
) -> dict[str, list[dict[str, Any]]]:
    """The key `parameters` of a component, if it has one. All of its parameters have names, or none has."""
    if component.get("parameters") is None:
        return {}
    found: list[dict[str, Any]] = []
    names: list[str] = []
    for place, one in enumerate(list_of(component["parameters"], f"{at}.parameters", None)):
        path = f"{at}.parameters.{place}"
        parameter = object_of(one, path)
        kind = word_of(parameter, "type", path, types)
        known_keys(parameter, path, {"type", "parameter_name", kind})
        read: dict[str, Any] = {"type": kind}
        if parameter.get("parameter_name") is not None:
            names.append(_name(parameter["parameter_name"], f"{path}.parameter_name"))
            read["parameter_name"] = names[-1]
        read[kind] = _value(kind, parameter.get(kind), f"{path}.{kind}", characters_max)
        found.append(read)
    if len(names) not in (0, len(found)):
        detail = "Some parameters have a name and others have none. A template has one of both forms."
        raise InvalidTemplateParameters(ParameterRefusal.MIXED, f"{at}.parameters", detail)
    if len(set(names)) < len(names):
        raise invalid(f"{at}.parameters", "Two parameters have the same name.")
    check_sum([each["text"] for each in found if "text" in each], f"{at}.parameters", characters_max)
    return {"parameters": found}


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not is_name(value):
        detail = "A name has small letters, digits and underscores, and begins with a letter."
        raise InvalidTemplateParameters(ParameterRefusal.NAME_INVALID, field, detail)
    return value


def _value(kind: str, value: object, field: str, characters_max: int) -> Any:
    """The value of a parameter, in the form of its type."""
    if kind in VALUES:
        return VALUES[kind](value, field)
    return parse_text(value, field, TEXT_LIMITS.get(kind, characters_max))
