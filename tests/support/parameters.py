"""Generated template parameters, and the simulator's judgement of the message that is built from them."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(max_size=8) | st.sampled_from(["a\nb", "     ", "a     b", "Ana", "\t", "1.50", "\ud83d", "\u200b"])
NUMBERS = st.integers() | st.floats()
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
JSON_VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4)
)
KEYS = st.sampled_from(["1", "2", "3", "10", "01", "name", "first_name", "Name", "components", ""])


def _parameter(kind: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.sampled_from([kind, kind.upper()]), kind: value},
        optional={"parameter_name": st.sampled_from(["a", "b", "A"])},
    )


def _object(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    usual = st.sampled_from(["https://example.com/a", "USD", "10", "90.5", "x"]) | st.integers(-200, 200)
    return st.fixed_dictionaries({}, optional=dict.fromkeys(fields, usual | SCALARS))


PARAMETERS = st.one_of(
    _parameter("text", TEXTS | NUMBERS),
    _parameter("payload", TEXTS),
    _parameter("coupon_code", TEXTS),
    _parameter("image", _object("link", "caption")),
    _parameter("document", _object("link", "filename")),
    _parameter("location", _object("latitude", "longitude", "name")),
    _parameter("currency", _object("code", "amount_1000", "fallback_value")),
    _parameter("date_time", _object("fallback_value")),
    _parameter("product", _object("product_retailer_id")),
    _parameter("limited_time_offer", _object("expiration_time_ms")),
    _parameter("action", st.dictionaries(TEXTS, JSON_VALUES, max_size=2)),
    _parameter("ttl_minutes", st.integers() | TEXTS),
)
COMPONENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["body", "BODY", "header", "button", "carousel", "footer", "limited_time_offer", "x"])},
    optional={
        "parameters": st.lists(PARAMETERS, max_size=3),
        "sub_type": st.sampled_from(["url", "quick_reply", "copy_code", "flow", "URL", "x"]),
        "index": st.sampled_from(["0", "9", "10", 0, 1, True, None]),
    },
)
TEMPLATE_PARAMETERS: st.SearchStrategy[Any] = st.one_of(
    st.lists(SCALARS, max_size=4),
    st.lists(TEXTS, max_size=4),
    st.dictionaries(KEYS, SCALARS, max_size=4),
    st.lists(COMPONENTS, max_size=3).map(lambda components: {"components": components}),
)
"""Values that people give as template parameters, right and wrong."""


def is_taken_by_meta(components: list[dict[str, Any]]) -> bool:
    """Whether no text of a message breaks a rule that holds for every template."""
    return all(
        _are_taken(component.get("parameters", []))
        and all(is_taken_by_meta(card["components"]) for card in component.get("cards", []))
        for component in components
    )


def _are_taken(parameters: list[dict[str, Any]]) -> bool:
    texts = [one["text"] for one in parameters if one["type"] == "text"]
    names = [one.get("parameter_name") for one in parameters]
    are_named = [name is not None for name in names]
    return (
        all(isinstance(text, str) and text.strip() and not re.search(r"[\n\r\t]| {5}", text) for text in texts)
        and sum(map(len, texts)) <= 32_768
        and (not any(are_named) or (all(are_named) and len(set(names)) == len(names)))
    )
