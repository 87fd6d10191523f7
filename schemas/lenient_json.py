"""Reads JSON strictly and, if that fails, leniently: webhooks come from another system and cannot be sent back.

The lenient reading accepts a byte order mark, invalid UTF-8, half a surrogate pair, `NaN`, and numbers of any size.
Texts may then contain lone surrogates, so a reader passes each text that it keeps through `clean_text`.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import orjson

from schemas.codec import Malformed
from schemas.reasons import DeadLetterReason

INTEGER_DIGITS_MAX = 18
"""A longer integer becomes a float. Meta's ids are texts, and its numbers are short."""
NUMBER_CHARS_MAX = 400
"""A longer number is infinite. Its exact value would cost time and mean nothing."""


class NotJson(Malformed):
    """The bytes are not JSON, even leniently."""

    reason = DeadLetterReason.NOT_JSON.value


class TooDeep(Malformed):
    """The JSON is nested deeper than the reader allows."""

    reason = DeadLetterReason.TOO_DEEP.value


class ReadJson(NamedTuple):
    """A JSON value, and whether only the lenient reading accepted it."""

    value: Any
    is_lenient: bool = False


def read_json(raw: bytes) -> ReadJson:
    """Read JSON strictly, else leniently. Raises NotJson or TooDeep."""
    try:
        return ReadJson(orjson.loads(raw))
    except orjson.JSONDecodeError:
        pass
    try:
        text = raw.decode(json.detect_encoding(raw), "replace")
        return ReadJson(json.loads(text, parse_int=_integer, parse_float=_float), is_lenient=True)
    except RecursionError:
        raise TooDeep("webhook: nested too deep") from None
    except ValueError:
        raise NotJson("webhook: not JSON") from None


def clean_text(text: str, chars_max: int) -> str:
    """A text that every reader accepts: at most so long, without NUL, and with U+FFFD for half a surrogate pair."""
    cut = text[:chars_max]
    if not cut.isascii():
        cut = cut.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return cut.replace("\0", "")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= INTEGER_DIGITS_MAX else _float(digits)


def _float(number: str) -> float:
    return float(number) if len(number) <= NUMBER_CHARS_MAX else math.inf
