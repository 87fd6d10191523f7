"""Generated template parameters, and the simulator's judgement of the message that is built from them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from simulator.checks.refusals import Refused
from simulator.checks.templates import check_components

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
LIKELY_TEXTS = st.text("Ana 5%\u00e9", min_size=1, max_size=70) | TEXTS


def _likely(kind: str, *parameters: st.SearchStrategy[Any], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(st.one_of(*parameters), min_size=1, max_size=2)
    return st.fixed_dictionaries({"type": st.just(kind), "parameters": some, **more})


def _likely_button(sub_type: str, parameter: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _likely("button", parameter, sub_type=st.just(sub_type), index=st.integers(0, 10).map(str))


_LINKS = st.sampled_from(["https://example.com/a", "http://example.com", "ftp://example.com", "https://a b"])
_AMOUNTS = st.fixed_dictionaries(
    {"code": st.sampled_from(["USD", "usd"]), "amount_1000": st.integers(), "fallback_value": LIKELY_TEXTS}
)
LIKELY_COMPONENTS = st.one_of(
    _likely("body", _parameter("text", LIKELY_TEXTS), _parameter("currency", _AMOUNTS)),
    _likely("header", _parameter("text", LIKELY_TEXTS)),
    _likely("header", _parameter("image", st.fixed_dictionaries({"link": _LINKS}))),
    _likely_button("url", _parameter("text", LIKELY_TEXTS)),
    _likely_button("quick_reply", _parameter("payload", LIKELY_TEXTS)),
    _likely_button("copy_code", _parameter("coupon_code", LIKELY_TEXTS)),
    _likely("limited_time_offer", _parameter("limited_time_offer", _object("expiration_time_ms"))),
)
"""Components of which many are right: those of `COMPONENTS` almost never are."""
TEMPLATE_PARAMETERS: st.SearchStrategy[Any] = st.one_of(
    st.lists(LIKELY_COMPONENTS, min_size=1, max_size=3).map(lambda components: {"components": components}),
    st.lists(SCALARS, max_size=4),
    st.lists(TEXTS, max_size=4),
    st.dictionaries(KEYS, SCALARS, max_size=4),
    st.lists(COMPONENTS, max_size=3).map(lambda components: {"components": components}),
)
"""Values that people give as template parameters, right and wrong."""


def is_taken(components: list[dict[str, Any]]) -> bool:
    """Whether the simulator takes these components, in a message of a template that fits them."""
    try:
        check_components("components", components, ())
    except Refused:
        return False
    return True
