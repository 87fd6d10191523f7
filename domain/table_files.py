"""Writes rows as the text of a table, for programs (CSV) or for a spreadsheet. Pure.

CSV is RFC 4180: UTF-8, commas, CR LF. A spreadsheet opens such a file correctly only with luck: the delimiter depends
on its language, the encoding on a mark, and a phone number becomes 4.9E+11. UTF-16 with tabs and a byte order mark is
what Excel opens in every language, and a phone number is written as a text.

In both forms no cell is a formula that somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""A spreadsheet would execute a text that begins with one of these; the last four are full-width forms."""
_LINE_END = "\r\n"


class TableForm(StrEnum):
    """The form of a table."""

    CSV = "csv"
    """For programs: UTF-8 and commas. Times are ISO 8601."""
    EXCEL = "excel"
    """For a spreadsheet: UTF-16 with tabs. Times are UTC without a zone."""


def table_start(form: TableForm, columns: Sequence[str]) -> bytes:
    """The start of the file: its mark and its headers."""
    mark = "\ufeff" if form is TableForm.EXCEL else ""
    return _encoded(form, mark + _delimiter(form).join(columns) + _LINE_END)


def table_rows(form: TableForm, rows: Iterable[Sequence[Any]], phone_numbers: frozenset[int]) -> bytes:
    """The lines of some rows. `phone_numbers` are the places of the columns with phone numbers in digits."""
    delimiter = _delimiter(form)
    lines = [
        delimiter.join(
            _phone(value) if form is TableForm.EXCEL and place in phone_numbers else _cell(form, value)
            for place, value in enumerate(row)
        )
        + _LINE_END
        for row in rows
    ]
    return _encoded(form, "".join(lines))


def _phone(value: Any) -> str:
    """A phone number as a text with its plus. Only digits are written so; a user id is a text by itself."""
    text = "" if value is None else str(value)
    return f'"=""+{text}"""' if text.isascii() and text.isdecimal() else _quoted(_harmless(text))


def _cell(form: TableForm, value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return _quoted(_harmless(value))
        case datetime():
            if form is TableForm.CSV:
                return value.isoformat()
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case list() | dict():
            return _quoted(orjson.dumps(value).decode())
        case _:
            return _quoted(str(value))


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _quoted(text: str) -> str:
    if any(each in text for each in '",\t\r\n;'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _delimiter(form: TableForm) -> str:
    return "," if form is TableForm.CSV else "\t"


def _encoded(form: TableForm, text: str) -> bytes:
    return text.encode("utf-8" if form is TableForm.CSV else "utf-16-le", "backslashreplace")
