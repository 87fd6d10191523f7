"""The file of the refused lines: it can be corrected and imported again.

It has the columns of its source, and three more that an import leaves out: the line, the reason and a sentence. If the
cells of a line cannot be separated, the whole line is in the first column, unchanged.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from domain.json_values import MalformedJson, read_json
from domain.recipient_files.cells import MalformedCells, UnclosedQuote, cells_of
from domain.recipient_files.columns import REFUSED_COLUMNS
from domain.recipient_files.decoding import MARK
from domain.recipient_files.reader import FileLine, Layout

LINE_END = "\r\n"
_EARLIER = re.compile(
    r',?\s*"refused_line":\s*[0-9]+,\s*"refused_reason":\s*"[a-z0-9_]*",\s*"refused_message":\s*"(?:[^"\\]|\\.)*"\s*\}$'
)
"""The reason that an earlier import has written into a JSON line."""


def refused_head(layout: Layout) -> str:
    """The start of the file. With the byte order mark, a spreadsheet reads UTF-8."""
    if layout.delimiter is None or layout.columns is None:
        return ""
    kept = _kept(layout.columns.headers)
    headers = [*(layout.columns.headers[place] for place in kept), *REFUSED_COLUMNS]
    return MARK + _line(headers, layout.delimiter)


def refused_line(layout: Layout, line: FileLine, reason: str, message: str) -> str:
    """One refused line as the file has it."""
    number, text = line.number, line.text
    why = [str(number), reason, message]
    if layout.delimiter is None or layout.columns is None:
        return _json(text, dict(zip(REFUSED_COLUMNS, [number, reason, message], strict=True)))
    width = len(layout.columns.headers)
    try:
        cells = cells_of(text, layout.delimiter)
    except (UnclosedQuote, MalformedCells):
        cells = []
    if not cells or len(cells) > width:
        cells = [text]
    cells += [""] * (width - len(cells))
    return _line([*(cells[place] for place in _kept(layout.columns.headers)), *why], layout.delimiter)


def _kept(headers: Sequence[str]) -> list[int]:
    return [place for place, header in enumerate(headers) if header not in REFUSED_COLUMNS]


class _Text:
    """Takes what a writer of the csv module writes."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Append the text; returns its length."""
        self.text += text
        return len(text)


def _line(cells: Iterable[str], delimiter: str) -> str:
    written = _Text()
    csv.writer(written, delimiter=delimiter, lineterminator=LINE_END).writerow(cells)
    return written.text


def _json(text: str, why: dict[str, Any]) -> str:
    """The object with the reason as its last fields. The rest of its text does not change, so 19.90 stays 19.90."""
    bare = _EARLIER.sub("}", text.rstrip())
    try:
        item = read_json(bare.encode("utf-8", "surrogateescape"))
    except MalformedJson:
        item = None
    if not isinstance(item, dict) or why.keys() & item.keys():
        return orjson.dumps({"text": text.encode("utf-8", "replace").decode(), **why}).decode() + "\n"
    start = bare.removesuffix("}").rstrip()
    return f"{start}{',' if item else ''}{orjson.dumps(why).decode()[1:]}\n"
