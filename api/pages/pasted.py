"""Recipients from lines that a person has pasted: a number each, and the parameters of the template behind it. Pure."""

from __future__ import annotations

import re
from typing import Any

LINES_MAX = 50_000
"""Most lines of one form. A file with more is imported by `campaigns import`."""
_SEPARATOR = re.compile(r"[\t;,]")


def read_lines(text: str) -> list[tuple[int, Any]]:
    """Each line that is not empty, by its number from 1, as the API takes a recipient.

    `+1 469 465 2751` is a number. `+1 469 465 2751, Ana, 19.90` has two parameters. Commas, semicolons and tabs
    separate them, as a spreadsheet does.
    """
    lines = ((place, line.strip()) for place, line in enumerate(text.splitlines(), start=1))
    return [(place, _recipient(line)) for place, line in lines if line]


def _recipient(line: str) -> Any:
    number, *parameters = (part.strip() for part in _SEPARATOR.split(line))
    return {"phone_number": number, "template_parameters": parameters} if parameters else number
