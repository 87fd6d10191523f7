"""Which of our numbers a report of Meta is about. Pure.

The webhook about a number has the number as people see it, and no id. A number is known by both once it was read from
the Cloud API. Until then a report might be about it, so it counts as meant: a report must not be missed.

Laws: a report without a number is about all of ours. A report whose number is known is about exactly that one. Another
report is about the numbers that were not read yet, so about none once all were read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SEEN = "+"
"""It begins the key of a report about a number as people see it. An id has digits only."""
DIGITS_MAX = 20
_NO_DIGITS = re.compile(r"[^0-9]")


def digits_of(shown: object) -> str:
    """The digits of a number as people see it, such as `+1 555-078-3881`; empty if there are none."""
    return _NO_DIGITS.sub("", shown)[:DIGITS_MAX] if isinstance(shown, str) else ""


def report_key(number_id: object, shown: object) -> str:
    """The key of a report: the id of the number if it has one, else its digits after a +, else nothing."""
    if isinstance(number_id, str) and number_id.isascii() and number_id.isdecimal():
        return number_id[:64]
    digits = digits_of(shown)
    return f"{SEEN}{digits}" if digits else ""


def meant(key: str, numbers: Mapping[str, str | None]) -> frozenset[str]:
    """The ids of the numbers that a report is about. `numbers`: the digits of each, by id; None: not read yet."""
    if not key:
        return frozenset(numbers)
    found = frozenset(each for each, digits in numbers.items() if key in (each, f"{SEEN}{digits}"))
    if found or not key.startswith(SEEN):
        return found
    return frozenset(each for each, digits in numbers.items() if digits is None)
