"""Reads a file of recipients while it arrives: each line becomes a recipient of the REST API, or is refused.

A line that is wrong stops no other, and no line is read twice. The reader keeps the first lines until it knows the
columns, and later one record at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from string import whitespace
from typing import Any

from schemas.reasons import LineRefusal

from domain.json_values import MalformedJson, read_json
from domain.parameters import FIELD
from domain.recipient_files.cells import (
    RECORD_LINES_MAX,
    MalformedCells,
    UnclosedQuote,
    cells_of,
    find_delimiter,
    joined,
    records_of,
)
from domain.recipient_files.columns import REFUSED_COLUMNS, Choices, Columns, UnusableFile, find_columns
from domain.recipient_files.decoding import FileDecoder, FileEncoding
from domain.recipient_files.lines import LINE_CHARACTERS_MAX, LineSplitter
from domain.template_slots import extra_slots_of, parameters_of
from domain.templates import MessageTemplate

SAMPLE_LINES = 200
"""So many lines show the delimiter and the columns."""
_LOST = re.compile("[\udc80-\udcff\ufffd]")
_SPREADSHEET_ERROR = re.compile(
    r"\s*#(?:N/A|NV|NULL!|DIV/0!|VALUE!|WERT!|REF!|BEZUG!|NAME\?|NUM!|ZAHL!|SPILL!|CALC!|GETTING_DATA|FIELD!)\s*",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)
"""The line with which Excel states the delimiter of a file."""
_NO_TEXT = {
    b"\xff\xfe\x00\x00": "encoded as UTF-32, which is not read",
    b"\x00\x00\xfe\xff": "encoded as UTF-32, which is not read",
    b"PK\x03\x04": "an Excel workbook or another zip archive, not text",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook, not text",
    b"\x1f\x8b": "compressed with gzip, not text",
    b"%PDF": "a PDF, not a table",
    b"\x89PNG": "a picture, not text",
    b"\xff\xd8\xff": "a picture, not text",
    b"Rar!": "an archive, not text",
    b"7z\xbc\xaf": "an archive, not text",
    b"{\\rt": "a document of a word processor, not a table",
    **dict.fromkeys((b"<!DO", b"<htm", b"<HTM", b"<tab", b"<TAB"), "a web page, not a table of text"),
    b"<?xm": "XML, not a table of text",
}
"""First bytes of files that cannot be read."""
_MAGIC_BYTES = 4
_JSON_DOCUMENT = re.compile(r'\s*(?:\[\s*[{"].*|[\[{]\s*)', re.DOTALL)
"""The first line of JSON that is a list, or has line breaks inside an object."""
_JSON_OBJECT = re.compile(r'\s*\{\s*(?:"|\})')


@dataclass(frozen=True, slots=True)
class LineFault:
    """Why a line is not read: the reason, and where in the recipient it is."""

    reason: LineRefusal
    field: str = "line"


@dataclass(slots=True)
class FileLine:
    """A record of the file: its first line from 1, its text, and the recipient in it or the fault.

    It is not frozen, because that takes three times as long to make, and there is one for each line.
    """

    number: int
    text: str = field(repr=False)
    item: Any = field(repr=False)
    fault: LineFault | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found in the file."""

    delimiter: str | None
    """None for JSON lines."""
    columns: Columns | None
    """None for JSON lines with recipients of the REST API."""


class RecipientFile:
    """Reads one file from its blocks in order."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._decoder = FileDecoder()
        self._splitter = LineSplitter()
        self._start = b""
        self._number = 0
        """Lines that were read."""
        self._waiting: list[str] = []
        """Lines that were not read: the first ones, or the start of a record with an open quote."""
        self._layout: Layout | None = None

    @property
    def encoding(self) -> FileEncoding:
        """The encoding, as the bytes so far show it."""
        return self._decoder.encoding

    @property
    def layout(self) -> Layout | None:
        """The delimiter and the columns; None until enough lines are there."""
        return self._layout

    def feed(self, block: bytes, *, is_last: bool = False) -> list[FileLine]:
        """The records that are complete. Raises UnusableFile if it is no text or has no known columns."""
        if len(self._start) < _MAGIC_BYTES:
            self._start = (self._start + block[:_MAGIC_BYTES])[:_MAGIC_BYTES]
            _require_text(self._start)
        lines = self._splitter.feed(self._decoder.feed(block, is_last=is_last), is_last=is_last)
        lines = self._waiting + lines
        self._waiting = []
        if self._layout is None:
            if len(lines) < SAMPLE_LINES and not is_last:
                self._waiting = lines
                return []
            lines = self._find_layout(lines)
        assert self._layout is not None
        if self._layout.delimiter is None:
            return list(self._json_records(lines))
        return list(self._records(lines, is_last=is_last))

    def _find_layout(self, lines: Sequence[str]) -> list[str]:
        """Find the layout by the first lines; returns the lines of data."""
        kept = list(lines)
        while kept and not kept[0].strip():
            self._number += 1
            del kept[0]
        if not kept:
            raise UnusableFile("The file is empty.")
        stated = _SEPARATOR.fullmatch(kept[0].strip('"'))
        if stated:
            self._number += 1
            del kept[0]
        if not stated and _JSON_OBJECT.match(kept[0]):
            self._layout = Layout(None, None)
            return kept
        if not stated and _JSON_DOCUMENT.fullmatch(kept[0]):
            raise UnusableFile(
                "The file is JSON, but not JSON lines. Write each recipient as one object on its own line."
            )
        if not any(map(str.strip, kept)):
            raise UnusableFile("The file has no line with a recipient.")
        delimiter = stated[1] if stated else find_delimiter(kept[:SAMPLE_LINES])
        taken, first = _first_record(kept, delimiter)
        columns = find_columns([first, *records_of(kept[taken:SAMPLE_LINES], delimiter)], self._choices)
        self._layout = Layout(delimiter, columns)
        if columns.has_headers:
            self._number += taken
            del kept[:taken]
        return kept

    # --------------------------------------------------------------------------------------------------------- CSV

    def _records(self, lines: list[str], *, is_last: bool) -> Iterator[FileLine]:
        """The records of CSV lines. A quote that stays open refuses its own line only."""
        layout = self._layout
        assert layout is not None
        assert layout.delimiter is not None
        assert layout.columns is not None
        template = self._choices.template
        read, delimiter, width = _reader(layout.columns, template), layout.delimiter, len(layout.columns.headers)
        blank = f'{whitespace}{delimiter}"'
        place, count = 0, len(lines)
        while place < count:
            text, taken = lines[place], 1
            number = self._number + 1
            if text[:1] in blank and not text.strip(blank):
                self._number += 1
                place += 1
                continue
            if len(text) > LINE_CHARACTERS_MAX:
                line = FileLine(number, text, None, LineFault(LineRefusal.LINE_TOO_LONG))
            else:
                try:
                    cells = text.split(delimiter) if '"' not in text else cells_of(text, delimiter)
                except MalformedCells:
                    line = FileLine(number, text, None, LineFault(LineRefusal.MALFORMED_LINE))
                except UnclosedQuote:
                    record = joined(lines[place : place + RECORD_LINES_MAX], delimiter, width, layout.columns.phone)
                    if record is None and not is_last and count - place < RECORD_LINES_MAX:
                        self._waiting = lines[place:]
                        return
                    if record is None:
                        line = FileLine(number, text, None, LineFault(LineRefusal.UNCLOSED_QUOTE))
                    else:
                        taken, cells = record
                        line = read(number, "\n".join(lines[place : place + taken]), cells)
                else:
                    line = read(number, text, cells)
            self._number += taken
            place += taken
            yield line

    # -------------------------------------------------------------------------------------------------------- JSON

    def _json_records(self, lines: list[str]) -> Iterator[FileLine]:
        """The records of JSON lines: recipients of the REST API, or objects whose keys are named as columns."""
        for text in lines:
            self._number += 1
            if text.strip():
                yield _json_line(self._number, text, self._choices)


def _require_text(start: bytes) -> None:
    for first, what in _NO_TEXT.items():
        if start.startswith(first):
            raise UnusableFile(f"The file is {what}. Save it as CSV in UTF-8, and import that.")


def _first_record(lines: Sequence[str], delimiter: str) -> tuple[int, list[str]]:
    """How many lines the first record has, and its cells. Headers may have line breaks inside quotes."""
    with suppress(MalformedCells):
        try:
            return 1, cells_of(lines[0], delimiter)
        except UnclosedQuote:
            if (record := joined(lines[:RECORD_LINES_MAX], delimiter)) is not None:
                return record
    raise UnusableFile("The quotes of the first line cannot be read, so the columns are not known.")


def _reader(columns: Columns, template: MessageTemplate | None) -> Callable[[int, str, list[str]], FileLine]:
    """What makes a record of the cells of a line."""
    width, phone, user = len(columns.headers), columns.phone, columns.user
    places = [place for _, place in columns.parameters]
    names = None if columns.parameters and columns.parameters[0][0] == "1" else [name for name, _ in columns.parameters]
    extra = () if template is None else extra_slots_of(template)
    filled = template if any(name in extra for name, _ in columns.parameters) else None
    slots = [name for name, _ in columns.parameters]
    in_json = columns.json_parameters
    used = [phone, *places] if in_json is None else [phone, in_json]
    used += [] if user is None else [user]
    fields = {place: f"{FIELD}.{name}" for name, place in columns.parameters}
    fields[phone] = "phone_number"
    if user is not None:
        fields[user] = "user_id"
    if in_json is not None:
        fields[in_json] = FIELD

    def read(number: int, text: str, cells: list[str]) -> FileLine:
        if len(cells) != width:
            if any(cell.strip() for cell in cells[width:]):
                return FileLine(number, text, None, LineFault(LineRefusal.TOO_MANY_CELLS))
            cells = (cells + [""] * width)[:width]
        if "#" in text or not text.isascii():
            for place in used:
                if _LOST.search(cells[place]):
                    return FileLine(number, text, None, LineFault(LineRefusal.UNREADABLE_BYTES, fields[place]))
                if place != phone and _SPREADSHEET_ERROR.fullmatch(cells[place]):
                    return FileLine(number, text, None, LineFault(LineRefusal.SPREADSHEET_ERROR, fields[place]))
        line = _with_parameters(number, text, cells)
        if user is not None and cells[user].strip() and line.fault is None:
            item = line.item if isinstance(line.item, dict) else {"phone_number": line.item}
            return FileLine(number, text, {**item, "user_id": cells[user].strip()})
        return line

    def _with_parameters(number: int, text: str, cells: list[str]) -> FileLine:
        if in_json is not None:
            return _with_json(number, text, cells[phone], cells[in_json])
        if not places:
            return FileLine(number, text, cells[phone])
        texts = [cells[place].strip() for place in places]
        if filled is not None:
            made = parameters_of(filled, dict(zip(slots, texts, strict=True)))
            return FileLine(number, text, {"phone_number": cells[phone], FIELD: made})
        parameters = texts if names is None else dict(zip(names, texts, strict=True))
        return FileLine(number, text, {"phone_number": cells[phone], FIELD: parameters})

    return read


def _with_json(number: int, text: str, phone_number: str, written: str) -> FileLine:
    """The record of a line whose parameters are JSON; an empty cell is a recipient without parameters."""
    if not written.strip():
        return FileLine(number, text, phone_number)
    try:
        parameters = read_json(written.encode("utf-8", "backslashreplace"))
    except MalformedJson:
        return FileLine(number, text, None, LineFault(LineRefusal.MALFORMED_JSON, FIELD))
    return FileLine(number, text, {"phone_number": phone_number, FIELD: parameters})


def _json_line(number: int, text: str, choices: Choices) -> FileLine:
    if len(text) > LINE_CHARACTERS_MAX:
        return FileLine(number, text, None, LineFault(LineRefusal.LINE_TOO_LONG))
    try:
        item = read_json(text.encode("utf-8", "surrogateescape"))
    except MalformedJson:
        return FileLine(number, text, None, LineFault(LineRefusal.MALFORMED_JSON))
    if not isinstance(item, dict):
        is_whole = item is not None and not isinstance(item, bool | list)
        return FileLine(number, text, item, None if is_whole else LineFault(LineRefusal.MALFORMED_JSON))
    for name in REFUSED_COLUMNS:
        item.pop(name, None)
    if choices.phone_column is None and choices.parameters is None:
        return FileLine(number, text, item)
    parameters = {name: item.get(column) for name, column in (choices.parameters or {}).items()}
    mapped = {"phone_number": item.get(choices.phone_column or "phone_number"), FIELD: parameters or item.get(FIELD)}
    return FileLine(number, text, {**mapped, "user_id": item["user_id"]} if item.get("user_id") else mapped)
