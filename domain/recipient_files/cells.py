"""The cells of a line of a CSV file (RFC 4180), and the delimiter between them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

from domain.recipient_files.lines import LINE_CHARACTERS_MAX

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
"""The delimiters that are tried, in this order, and their names."""
RECORD_LINES_MAX = 20
"""Most lines of a record with line breaks inside quotes."""
_UNCLOSED = "unexpected end of data"
_NUMBER = re.compile(r"[\s'\"=+]*[0-9(][0-9\s()+./'\"-]*")
_NUMBER_DIGITS_MIN = 7
_ROUNDED = re.compile(r"\s*[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+\s*")


class UnclosedQuote(ValueError):
    """A cell begins with a quote, and the line ends before the quote that ends the cell."""


class MalformedCells(ValueError):
    """A quoted cell goes on after its end."""


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line. Raises UnclosedQuote and MalformedCells."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        if _UNCLOSED in str(error):
            raise UnclosedQuote from None
        raise MalformedCells from None


def looks_like_number(cell: str) -> bool:
    """Whether a cell was meant as a phone number: it has the digits and signs of one, or a spreadsheet rounded it."""
    if _ROUNDED.fullmatch(cell):
        return True
    return _NUMBER.fullmatch(cell) is not None and sum(map(str.isdigit, cell)) >= _NUMBER_DIGITS_MIN


def find_delimiter(lines: Sequence[str]) -> str:
    """The delimiter of these lines: under it they have equally many cells, and a column of phone numbers.

    A comma for lines that have only one cell each.
    """
    return max(DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))


def records_of(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """The cells of each record of the lines, with line breaks inside quotes. Lines that cannot be read are left out."""
    place = 0
    while place < len(lines):
        taken, cells = 1, None
        with suppress(MalformedCells):
            try:
                cells = cells_of(lines[place], delimiter)
            except UnclosedQuote:
                taken, cells = joined(lines[place : place + RECORD_LINES_MAX], delimiter) or (1, None)
        if cells is not None:
            yield cells
        place += taken


def joined(
    lines: Sequence[str], delimiter: str, width: int | None = None, phone: int = 0
) -> tuple[int, list[str]] | None:
    """How many lines a record with an open quote has, and its cells; None if it does not end in these lines.

    With a width, the quote was a mistake if the record has another number of cells, or if a line inside it is a record
    of its own: it has as many cells, and a phone number in the column `phone`.
    """
    text = lines[0]
    for taken, line in enumerate(lines[1:], start=2):
        if width is not None and _is_record(line, delimiter, width, phone):
            return None
        text = f"{text}\n{line}"
        if len(text) > LINE_CHARACTERS_MAX:
            return None
        if '"' not in line:
            continue
        try:
            cells = cells_of(text, delimiter)
        except UnclosedQuote:
            continue
        except MalformedCells:
            return None
        return (taken, cells) if width in (None, len(cells)) else None
    return None


def _is_record(line: str, delimiter: str, width: int, phone: int) -> bool:
    cells = line.split(delimiter)
    return len(cells) == width and looks_like_number(cells[phone])


def _fit(lines: Sequence[str], delimiter: str) -> tuple[bool, bool, float, int]:
    rows = list(records_of(lines, delimiter))
    if not rows:
        return (False, False, 0.0, 0)
    width, same = Counter(map(len, rows)).most_common(1)[0]
    numbers = Counter(place for row in rows for place, cell in enumerate(row) if looks_like_number(cell))
    has_numbers = bool(numbers) and numbers.most_common(1)[0][1] * 2 >= len(rows) - 1
    return (has_numbers, width > 1 and len(rows[0]) > 1, same / len(rows), width)
