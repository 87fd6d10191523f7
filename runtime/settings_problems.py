"""The sentences about wrong variables. Each starts with the variable's name, and none contains a value."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP)(_\w+)?$")
CLOSE = 0.8
"""How similar a name must be to be suggested, from 0 to 1."""


def unknown(given: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """A problem for each variable that no setting has, with the name that was probably meant."""
    for name in sorted(given.keys() - set(known)):
        if _SERVICE_LINK.search(name):
            continue
        close = get_close_matches(name.upper(), known, 1, CLOSE)
        yield f"{name}: no such setting" + (f"; did you mean {close[0]}?" if close else "")


def service_links(given: Mapping[str, str]) -> Iterator[str]:
    """A problem for each variable that Kubernetes sets in every pod for a service whose name starts like our prefix."""
    for name, value in sorted(given.items()):
        if value.startswith(("tcp://", "udp://")) or _SERVICE_LINK.search(name):
            yield f"{name}: is set by Kubernetes for a service of this name: set enableServiceLinks: false in the pod"


def empty(given: Mapping[str, str], names: Collection[str]) -> Iterator[str]:
    """A problem for each of these variables that has no value: it did not arrive, and must not count as never set."""
    for name in names:
        if name in given and not given[name].strip():
            yield f"{name}: is empty: give it a value, or remove the variable"


def described(item: ErrorDetails, variables: Mapping[str, str], fields: Mapping[str, FieldInfo]) -> str:
    """The problem that pydantic found, in our words."""
    message = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:  # a rule over several settings, which names them itself
        return message
    field = str(item["loc"][0])
    return f"{variables[field]}: {_problem(item, message, fields[field])}"


def _problem(item: ErrorDetails, message: str, field: FieldInfo) -> str:
    limits = item.get("ctx", {})
    match item["type"]:
        case "missing":
            return "is not set"
        case "value_error":
            return message
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return "expects a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "expects a number"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "greater_than":
            return f"must be more than {limits['gt']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "string_too_long":
            return f"has more than {limits['max_length']} characters"
        case _:
            return f"has a form that is not accepted. It means: {field.description}"
