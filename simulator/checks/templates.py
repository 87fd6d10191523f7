"""Checks the shape of a template object: its components and parameters, whatever the template is.

Source: Meta's page "Messages" of the Cloud API reference (template, components and parameter objects), its pages about
each kind of button, and its page "Error codes". Types are accepted in small and in capital letters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from simulator.checks.contents import MediaIds, check_media
from simulator.checks.refusals import (
    GraphRefusal,
    Refused,
    invalid_parameter,
    list_at,
    missing,
    object_at,
    one_of,
    only_keys,
    param,
    text_at,
    too_long,
    with_code,
)

NAME = re.compile(r"[a-z0-9_]{1,512}")
PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*")
FORBIDDEN = re.compile(r"[\n\r\t]| {5}")
"""A parameter may not contain a line break, a tab, or more than four spaces in a row."""
HEADER_TEXT_MAX = 60
BODY_TEXT_MAX = 1024
LONE_BODY_TEXT_MAX = 32_768
"""The limit for a message that has no component but the body."""
PAYLOAD_MAX = 256
COUPON_MAX = 20
INDEX_MAX = 9
PARAMETER_TYPES: Mapping[str, frozenset[str]] = {
    "body": frozenset({"text", "currency", "date_time"}),
    "button": frozenset({"text", "payload", "coupon_code", "action", "ttl_minutes"}),
    "header": frozenset({"text", "currency", "date_time", "image", "video", "gif", "document", "location", "product"}),
    "limited_time_offer": frozenset({"limited_time_offer"}),
    "order_status": frozenset({"order_status"}),
    "tap_target_configuration": frozenset({"tap_target_configuration"}),
}
"""The types of parameters that each component takes."""
COMPONENT_TYPES = frozenset({*PARAMETER_TYPES, "carousel", "footer"})
BUTTON_PARAMETERS: Mapping[str, frozenset[str]] = {
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
"""The types of buttons, and the types of parameters that each takes."""


def check_template(content: object, known: MediaIds) -> None:
    """Raises Refused for a template object that no template takes."""
    template = object_at("template", content)
    only_keys("template", template, ("name", "language", "components", "namespace"))
    name = text_at("template['name']", template.get("name"))
    if not NAME.fullmatch(name):
        raise with_code(132001, f"template name ({name}) does not exist")
    if template.get("language") is None:
        raise missing("Parameter template['language']['code'] is missing")
    language = object_at("template['language']", template["language"])
    text_at("template['language']['code']", language.get("code"))
    if (policy := language.get("policy")) is not None and policy != "deterministic":
        raise one_of("template['language']['policy']", ("deterministic",), policy)
    if template.get("components") is not None:
        check_components("template['components']", template["components"], known)


def check_components(path: str, value: object, known: MediaIds) -> None:
    """Raises Refused for invalid components of a template or of a card of a carousel."""
    components = list_at(path, value)
    seen: set[object] = set()
    for index, one in enumerate(components):
        at = f"{path}[{index}]"
        component = object_at(at, one)
        kind = _lower(component.get("type"))
        if kind not in COMPONENT_TYPES:
            raise one_of(f"{at}['type']", COMPONENT_TYPES, component.get("type"))
        identity = (kind, str(component.get("index"))) if kind == "button" else kind
        if identity in seen:
            raise invalid_parameter(f"{at} repeats the component {kind}")
        seen.add(identity)
        if kind == "carousel":
            _check_cards(at, component, known)
        elif kind == "button":
            _check_button(at, component, known)
        else:
            only_keys(at, component, ("type", "parameters"))
            most = LONE_BODY_TEXT_MAX if kind == "body" and len(components) == 1 else BODY_TEXT_MAX
            most = HEADER_TEXT_MAX if kind == "header" else most
            _check_parameters(at, component, PARAMETER_TYPES.get(kind, frozenset()), most, known)


def _check_cards(at: str, component: Mapping[str, object], known: MediaIds) -> None:
    """The cards of a carousel, each with components of its own."""
    only_keys(at, component, ("type", "cards"))
    for index, one in enumerate(list_at(f"{at}['cards']", component.get("cards"))):
        card = object_at(f"{at}['cards'][{index}]", one)
        only_keys(f"{at}['cards'][{index}]", card, ("card_index", "components"))
        check_components(f"{at}['cards'][{index}]['components']", card.get("components"), known)


def _check_button(at: str, component: Mapping[str, object], known: MediaIds) -> None:
    """A button: its kind, its place and its parameters."""
    only_keys(at, component, ("type", "sub_type", "index", "parameters"))
    kind = _lower(component.get("sub_type"))
    if component.get("sub_type") is None:
        raise missing(f"Parameter {at}['sub_type'] is missing")
    if kind not in BUTTON_PARAMETERS:
        raise one_of(f"{at}['sub_type']", BUTTON_PARAMETERS, component.get("sub_type"))
    index = component.get("index")
    if index is None:
        raise missing(f"Parameter {at}['index'] is missing")
    if isinstance(index, bool) or not str(index).isdecimal() or int(str(index)) > INDEX_MAX:
        raise param(f"{at}['index']", f"must be a number from 0 to {INDEX_MAX}.")
    _check_parameters(at, component, BUTTON_PARAMETERS[kind], BODY_TEXT_MAX, known)


def _check_parameters(
    at: str, component: Mapping[str, object], allowed: frozenset[str], text_max: int, known: MediaIds
) -> None:
    """The parameters of one component. All of them have names, or none has."""
    if component.get("parameters") is None:
        return
    parameters = list_at(f"{at}['parameters']", component["parameters"])
    named = 0
    for index, one in enumerate(parameters):
        path = f"{at}['parameters'][{index}]"
        parameter = object_at(path, one)
        kind = _lower(parameter.get("type"))
        if kind not in allowed:
            raise one_of(f"{path}['type']", allowed, parameter.get("type"))
        if parameter.get("parameter_name") is not None:
            named += 1
            name = text_at(f"{path}['parameter_name']", parameter["parameter_name"])
            if not PARAMETER_NAME.fullmatch(name):
                raise param(f"{path}['parameter_name']", "must have small letters, digits and underscores only.")
        _check_parameter(path, kind, parameter, text_max, known)
    if named not in (0, len(parameters)):
        raise invalid_parameter("Parameter name is missing or empty")
    names = [parameter.get("parameter_name") for parameter in parameters if isinstance(parameter, dict)]
    if named and len(set(map(str, names))) < named:
        raise invalid_parameter(f"{at} repeats a parameter name")


def _check_parameter(path: str, kind: str, parameter: Mapping[str, object], text_max: int, known: MediaIds) -> None:
    """One parameter: exactly the value of its type."""
    only_keys(path, parameter, ("type", "parameter_name", kind))
    value = parameter.get(kind)
    if kind in ("text", "payload", "coupon_code"):
        _check_text(path, kind, value, {"payload": PAYLOAD_MAX, "coupon_code": COUPON_MAX}.get(kind, text_max))
    elif value is None:
        raise missing(f"Parameter of type {kind} is missing {kind} value")
    elif kind in ("image", "video", "document", "gif"):
        check_media("video" if kind == "gif" else kind, value, known, f"{path}['{kind}']")
    elif kind == "tap_target_configuration":
        for index, target in enumerate(list_at(f"{path}['{kind}']", value)):
            object_at(f"{path}['{kind}'][{index}]", target)
    elif kind == "ttl_minutes":
        if isinstance(value, bool) or not isinstance(value, int):
            raise param(f"{path}['{kind}']", "must be an integer.")
    else:
        _OBJECT_CHECKS[kind](f"{path}['{kind}']", object_at(f"{path}['{kind}']", value))


def _check_text(path: str, kind: str, value: object, most: int) -> None:
    """A text of a parameter."""
    if value is None or value == "" or (isinstance(value, str) and not value.strip()):
        raise missing(f"Parameter of type {kind} is missing {kind} value")
    if not isinstance(value, str):
        raise param(f"{path}['{kind}']", "must be a string.")
    if FORBIDDEN.search(value):
        raise Refused(
            GraphRefusal(
                132018,
                "(#132018) There was an issue with the parameters in your template",
                "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
            )
        )
    if len(value) > most:
        raise too_long(f"{path}['{kind}'] has {len(value)} characters, the limit is {most}")


def _check_currency(path: str, value: Mapping[str, object]) -> None:
    """An amount of money."""
    text_at(f"{path}['fallback_value']", value.get("fallback_value"))
    code = text_at(f"{path}['code']", value.get("code"))
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise param(f"{path}['code']", "must be a currency code of ISO 4217.")
    if isinstance(value.get("amount_1000"), bool) or not isinstance(value.get("amount_1000"), int):
        raise param(f"{path}['amount_1000']", "must be an integer.")


def _check_date(path: str, value: Mapping[str, object]) -> None:
    """A date."""
    text_at(f"{path}['fallback_value']", value.get("fallback_value"))


def _check_location(path: str, value: Mapping[str, object]) -> None:
    """A place."""
    for name in ("latitude", "longitude"):
        if value.get(name) is None:
            raise missing(f"Parameter {path}['{name}'] is missing")


def _check_product(path: str, value: Mapping[str, object]) -> None:
    """A product."""
    text_at(f"{path}['product_retailer_id']", value.get("product_retailer_id"))


def _check_offer(path: str, value: Mapping[str, object]) -> None:
    """A limited-time offer."""
    end = value.get("expiration_time_ms")
    if isinstance(end, bool) or not isinstance(end, int):
        raise param(f"{path}['expiration_time_ms']", "must be an integer.")


def _accept(_path: str, _value: Mapping[str, object]) -> None:
    """Any object."""


def _lower(value: object) -> str:
    """The value in small letters. Anything but a text is no type."""
    return value.lower() if isinstance(value, str) else ""


_OBJECT_CHECKS: Mapping[str, Callable[[str, Mapping[str, object]], None]] = {
    "action": _accept,
    "currency": _check_currency,
    "date_time": _check_date,
    "limited_time_offer": _check_offer,
    "location": _check_location,
    "order_status": _accept,
    "product": _check_product,
}
