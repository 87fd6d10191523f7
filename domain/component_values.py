"""The values of parameters that are no plain texts: media, amounts, dates, places, offers and actions. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from schemas.reasons import ParameterRefusal

from domain.parameter_texts import InvalidTemplateParameters, check_characters, parse_text

INTEGER_MAX = 2**63 - 1
TEXT_CHARACTERS_MAX = 1024
URL_CHARACTERS_MAX = 2048
FREE_DEPTH_MAX = 10
"""Deepest nesting of the values of actions, whose form depends on the button."""
FREE_ITEMS_MAX = 1000
"""Most values in one list or object of an action, and in one list of parameters."""
_FLOAT_MIN, _FLOAT_MAX = 1e-9, 1e15
"""Other fractional numbers would take hundreds of digits in PostgreSQL's jsonb."""
_CURRENCY = re.compile(r"[A-Z]{3}")
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_COORDINATE = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{1,20})?")


def invalid(field: str, detail: str) -> InvalidTemplateParameters:
    """The refusal of a component or of one of its values."""
    return InvalidTemplateParameters(ParameterRefusal.COMPONENTS_INVALID, field, detail)


def object_of(value: object, field: str) -> Mapping[str, object]:
    """The object. Raises InvalidTemplateParameters for any other value."""
    if not isinstance(value, Mapping):
        raise invalid(field, "Write an object here.")
    return value


def list_of(value: object, field: str, items_max: int | None) -> list[object]:
    """The list. Raises InvalidTemplateParameters for any other value, and for more items (FREE_ITEMS_MAX for None)."""
    items_max = items_max or FREE_ITEMS_MAX
    if not isinstance(value, list | tuple):
        raise invalid(field, "Write a list here.")
    if len(value) > items_max:
        raise invalid(field, f"The list has {len(value):,} items. At most {items_max:,} are possible.")
    return list(value)


def known_keys(value: Mapping[str, object], field: str, allowed: Collection[str]) -> None:
    """Raise InvalidTemplateParameters if the object has another key."""
    for name in value:
        if name not in allowed:
            names = ", ".join(sorted(allowed))
            raise invalid(f"{field}.{repr(name)[1:-1][:50]}", f"This key is unknown here. Known keys: {names}.")


def word_of(value: Mapping[str, object], key: str, field: str, allowed: Collection[str]) -> str:
    """One of the allowed words, in small letters. Raises InvalidTemplateParameters for any other value."""
    word = value.get(key)
    small = word.lower() if isinstance(word, str) else ""
    if small not in allowed:
        names = ", ".join(sorted(allowed)) or "none: this component takes no parameters"
        raise invalid(f"{field}.{key}", f"The {key} must be one of these: {names}.")
    return small


def _text(value: object, field: str, characters_max: int = TEXT_CHARACTERS_MAX) -> str:
    return parse_text(value, field, characters_max)


def _integer(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > INTEGER_MAX:
        raise invalid(field, "Write a whole number here.")
    return value


def _media(value: object, field: str, allowed: frozenset[str]) -> dict[str, str]:
    media = object_of(value, field)
    known_keys(media, field, allowed)
    if (media.get("id") is None) == (media.get("link") is None):
        raise invalid(field, "A medium has either an `id` or a `link`.")
    found: dict[str, str] = {}
    if media.get("id") is not None:
        found["id"] = _media_id(media["id"], f"{field}.id")
    else:
        found["link"] = _url(media["link"], f"{field}.link")
    for name in ("caption", "filename"):
        if media.get(name) is not None:
            found[name] = _text(media[name], f"{field}.{name}")
    return found


def _media_id(value: object, field: str) -> str:
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= INTEGER_MAX else value
    if not isinstance(text, str) or not _MEDIA_ID.fullmatch(text):
        raise invalid(field, "Write the id of an uploaded medium.")
    return text


def _url(value: object, field: str) -> str:
    refusal = invalid(field, "Write an absolute address that begins with https:// or http://.")
    if not isinstance(value, str) or len(value) > URL_CHARACTERS_MAX or any(each.isspace() for each in value):
        raise refusal
    check_characters(value, field)
    try:
        parts = urlsplit(value)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        raise refusal from None
    if not is_absolute:
        raise refusal
    return value


def _currency(value: object, field: str) -> dict[str, Any]:
    amount = object_of(value, field)
    known_keys(amount, field, {"fallback_value", "code", "amount_1000"})
    code = amount.get("code")
    if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
        raise invalid(f"{field}.code", "Write a currency code of ISO 4217, such as USD.")
    return {
        "fallback_value": _text(amount.get("fallback_value"), f"{field}.fallback_value"),
        "code": code,
        "amount_1000": _integer(amount.get("amount_1000"), f"{field}.amount_1000"),
    }


def _date_time(value: object, field: str) -> Any:
    date = object_of(value, field)
    found = {"fallback_value": _text(date.get("fallback_value"), f"{field}.fallback_value")}
    return {**_object(date, field, FREE_DEPTH_MAX), **found}


def _location(value: object, field: str) -> dict[str, str]:
    place = object_of(value, field)
    known_keys(place, field, {"latitude", "longitude", "name", "address"})
    found = {
        name: _coordinate(place.get(name), f"{field}.{name}", largest)
        for name, largest in (("latitude", 90), ("longitude", 180))
    }
    for name in ("name", "address"):
        if place.get(name) is not None:
            found[name] = _text(place[name], f"{field}.{name}")
    return found


def _coordinate(value: object, field: str, largest: int) -> str:
    text = parse_text(value, field, 25).strip()
    if not _COORDINATE.fullmatch(text) or abs(float(text)) > largest:
        raise invalid(field, f"Write degrees from -{largest} to {largest}, such as 52.52.")
    return text


def _product(value: object, field: str) -> dict[str, Any]:
    product = object_of(value, field)
    known_keys(product, field, {"product_retailer_id", "catalog_id"})
    found = {"product_retailer_id": _text(product.get("product_retailer_id"), f"{field}.product_retailer_id")}
    if product.get("catalog_id") is not None:
        found["catalog_id"] = _text(product["catalog_id"], f"{field}.catalog_id")
    return found


def _offer(value: object, field: str) -> dict[str, int]:
    offer = object_of(value, field)
    known_keys(offer, field, {"expiration_time_ms"})
    return {"expiration_time_ms": _integer(offer.get("expiration_time_ms"), f"{field}.expiration_time_ms")}


def _targets(value: object, field: str) -> list[Any]:
    given = list_of(value, field, None)
    return [_object(object_of(each, f"{field}.{n}"), f"{field}.{n}", FREE_DEPTH_MAX) for n, each in enumerate(given)]


def _action(value: object, field: str) -> Any:
    return _object(object_of(value, field), field, FREE_DEPTH_MAX)


def _object(value: Mapping[str, object], field: str, depth: int) -> dict[str, Any]:
    """An object of any form that JSON and PostgreSQL can store."""
    if len(value) > FREE_ITEMS_MAX:
        raise invalid(field, f"The object has more than {FREE_ITEMS_MAX:,} keys.")
    for name in value:
        if len(name) > TEXT_CHARACTERS_MAX:
            raise invalid(field, f"A key has more than {TEXT_CHARACTERS_MAX:,} characters.")
        check_characters(name, field)
    return {name: _free(each, f"{field}.{name[:50]}", depth - 1) for name, each in value.items()}


def _free(value: object, field: str, depth: int) -> Any:
    if depth < 0:
        raise invalid(field, f"The value is nested deeper than {FREE_DEPTH_MAX} levels.")
    match value:
        case None | bool():
            return value
        case str():
            check_characters(value, field)
            return value
        case int():
            return _integer(value, field)
        case float():
            return _fraction(value, field)
        case Mapping():
            return _object(value, field, depth)
        case list() | tuple():
            return [_free(each, f"{field}.{n}", depth - 1) for n, each in enumerate(list_of(value, field, None))]
        case _:
            raise invalid(field, "This is no value of JSON.")


def _fraction(value: float, field: str) -> float:
    if not math.isfinite(value) or (value and not _FLOAT_MIN <= abs(value) <= _FLOAT_MAX):
        raise invalid(field, "The number is too large or too small. Write it as a text.")
    return float(value)


_PICTURE = frozenset({"id", "link", "caption"})

VALUES: Mapping[str, Callable[[object, str], Any]] = MappingProxyType(
    {
        "action": _action,
        "currency": _currency,
        "date_time": _date_time,
        "document": partial(_media, allowed=_PICTURE | {"filename"}),
        "gif": partial(_media, allowed=_PICTURE),
        "image": partial(_media, allowed=_PICTURE),
        "limited_time_offer": _offer,
        "location": _location,
        "order_status": _action,
        "product": _product,
        "tap_target_configuration": _targets,
        "ttl_minutes": _integer,
        "video": partial(_media, allowed=_PICTURE),
    }
)
"""The reader of each type of parameter that is no text. Each returns the value, or raises InvalidTemplateParameters."""
