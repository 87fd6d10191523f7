"""Reads JSON so that a number keeps its text: 1.50 stays 1.50, and 1e400 does not become null. Pure.

Python's own reader accepts NaN and Infinity, which are not JSON, and of equal keys it silently drops all but the last.
Both are refused here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

_INTEGER_DIGITS_MAX = 20
"""Digits of the longest number that is read as an integer: every 64-bit number is shorter."""


class MalformedJson(ValueError):
    """The bytes are not one JSON value. The text says what is wrong."""


class JsonNumber(float):
    """A number that is no plain integer, with the text that it was given as. It may be infinite, as 1e400 is."""

    text: str

    def __new__(cls, text: str) -> JsonNumber:
        """Read the text of a JSON number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def read_json(body: bytes) -> object:
    """The value of a JSON text in UTF-8. Plain integers are `int`, other numbers are `JsonNumber`.

    Raises MalformedJson, also for a constant such as NaN, for a repeated key, and for nesting that is too deep.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig"),
            parse_int=_integer,
            parse_float=JsonNumber,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise MalformedJson(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"{error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise MalformedJson("it is nested too deeply") from None


def _integer(text: str) -> int | JsonNumber:
    return int(text) if len(text) <= _INTEGER_DIGITS_MAX and text != "-0" else JsonNumber(text)


def _refuse_constant(name: str) -> object:
    raise MalformedJson(f"{name} is not a JSON number")


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        repeated = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise MalformedJson(f"an object has the key {repeated[:50]!r} twice")
    return found
