"""A refusal is the error answer to a request. Checks raise it as `Refused`.

Codes and messages follow Meta's pages "Error codes" and "Graph API: handling errors". Meta publishes no list of all
messages; these have the published form, and name the parameter in the way that real answers do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from simulator.cloud_errors import error_of


@dataclass(frozen=True, slots=True)
class GraphRefusal:
    """An error answer. `http_status` None: the status of the code."""

    code: int
    message: str | None = None
    details: str | None = None
    subcode: int | None = None
    kind: str = "OAuthException"
    status: int | None = None

    @property
    def http_status(self) -> int:
        """The HTTP status of the answer."""
        return self.status or error_of(self.code).http_status


class Refused(Exception):
    """The request is refused."""

    def __init__(self, refusal: GraphRefusal) -> None:
        super().__init__(refusal.message or f"code {refusal.code}")
        self.refusal = refusal


def invalid_parameter(details: str) -> Refused:
    """Code 100 with details."""
    return Refused(GraphRefusal(100, "(#100) Invalid parameter", details))


def param(path: str, fault: str) -> Refused:
    """Code 100 about one parameter: `(#100) Param text['body'] must be a string.`"""
    return Refused(GraphRefusal(100, f"(#100) Param {path} {fault}"))


def required(name: str) -> Refused:
    """Code 100: a parameter of the request itself is absent."""
    return Refused(GraphRefusal(100, f"(#100) The parameter {name} is required."))


def missing(details: str) -> Refused:
    """Code 131008: a required parameter of the message is absent or empty."""
    return Refused(GraphRefusal(131008, "(#131008) Required parameter is missing", details))


def value_invalid(details: str) -> Refused:
    """Code 131009: a value is not valid."""
    return Refused(GraphRefusal(131009, "(#131009) Parameter value is not valid", details))


def too_long(details: str) -> Refused:
    """Code 132005: a text of a template is too long with its parameters."""
    return Refused(GraphRefusal(132005, "(#132005) Translated text too long", details))


def with_code(code: int, details: str) -> Refused:
    """The code with its title and these details."""
    return Refused(GraphRefusal(code, f"(#{code}) {error_of(code).title}", details))


def one_of(path: str, allowed: Iterable[str], given: object) -> Refused:
    """Code 100: the value is not in the list."""
    names = ", ".join(sorted(allowed)).upper()
    return param(path, f'must be one of {{{names}}} - got "{given}".')


def object_at(path: str, value: object) -> Mapping[str, object]:
    """The JSON object at this path. Raises Refused for anything else."""
    if not isinstance(value, dict):
        raise param(path, "must be an object.")
    return value


def list_at(path: str, value: object) -> list[object]:
    """The JSON array at this path. Raises Refused for anything else."""
    if not isinstance(value, list):
        raise param(path, "must be an array.")
    return value


def text_at(path: str, value: object, most: int | None = None) -> str:
    """The text at this path, with at least one character that is no space. Raises Refused for anything else."""
    if value is None:
        raise missing(f"Parameter {path} is missing")
    if not isinstance(value, str):
        raise param(path, "must be a string.")
    if not value.strip():
        raise missing(f"Parameter {path} is missing or empty")
    if most is not None and len(value) > most:
        raise param(path, f"must be at most {most} characters long.")
    return value


def optional_text_at(path: str, value: object, most: int | None = None) -> None:
    """Raises Refused unless the value at this path is absent, or a text of limited length. It may be empty."""
    if value is not None and value != "":
        text_at(path, value, most)


def only_keys(path: str, value: Mapping[str, object], allowed: Iterable[str]) -> None:
    """Raises Refused if the object has another key."""
    for key in value:
        if key not in allowed:
            raise Refused(GraphRefusal(100, f'(#100) Unexpected key "{key}" on param "{path}".'))
