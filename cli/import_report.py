"""What an import shows: the file, the progress, the first refused lines, the file of all of them, and the summary."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID

import orjson

from api.additions import Judged
from api.imports import AddJudged, ImportedChunk, ImportTotals, UnaddedLine, import_blocks, judge_lines, refusals
from api.recipient_answers import RecipientsAdded
from cli.console import note, printable
from cli.private_files import new_private_file, unwritable
from cli.progress import ProgressLine
from domain.recipient_files.cells import DELIMITERS
from domain.recipient_files.decoding import FileEncoding
from domain.recipient_files.reader import FileLine, Layout, RecipientFile
from domain.recipient_files.refused import refused_head, refused_line
from operations.options import InvalidOptions
from tables.turns import Turn

SHOWN_MAX = 20
"""UnaddedLine lines on stderr. The file has all of them."""
COLUMNS_SHOWN_MAX = 20
PREVIEW_LINES = 1_000
STANDARD_INPUT = "-"


class ImportReport:
    """Counts and shows what becomes of the lines. The file of the refused lines is created with the first of them."""

    def __init__(self, path: Path | None) -> None:
        self.totals = ImportTotals()
        self._path = path
        self._file: BinaryIO | None = None
        self._layout_of: RecipientFile | None = None
        self._progress = ProgressLine(sys.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file of the refused lines."""
        if self._file is not None:
            self._file.close()

    async def run(self, blocks: AsyncIterator[bytes], file: RecipientFile, country: str | None, add: AddJudged) -> None:
        """Import the file. Raises the errors of `import_blocks`, and InvalidOptions if the file cannot be written."""
        self.totals = ImportTotals()
        self._layout_of = file
        try:
            await import_blocks(blocks, file, country, add, self._notice)
        finally:
            self._show_progress(is_last=True)
            self._progress.end()

    async def judge_all(self, blocks: AsyncIterator[bytes], file: RecipientFile, country: str | None) -> None:
        """Judge every line, and add none."""

        async def add_none(judged: Judged, _: Turn) -> RecipientsAdded:
            return RecipientsAdded(added=len(judged.people), countries={}, duplicates=judged.repeated, invalid=[])

        await self.run(blocks, file, country, add_none)

    def describe(self, file: RecipientFile) -> str:
        """What was found in the file, in lines."""
        layout = file.layout
        assert layout is not None
        guess = ", a guess: the bytes are not UTF-8" if file.encoding is FileEncoding.WINDOWS_1252 else ""
        form = "JSON lines" if layout.delimiter is None else f"CSV with the delimiter {_delimiter(layout.delimiter)}"
        lines = [f"  the file is {form}, encoded as {file.encoding}{guess}", *_columns(layout)]
        if self.totals.lines:
            lines.append(
                f"  {self.totals.added:,} of {self.totals.lines:,} lines can be added, unless the campaign has their "
                f"people; {self.totals.refused:,} would be refused"
            )
        return "\n".join(lines)

    def preview(self, lines: Sequence[FileLine], country: str | None) -> str:
        """How many of the first lines would be refused."""
        first = lines[:PREVIEW_LINES]
        wrong = refusals(first, *judge_lines(first, country))
        for each in wrong[:SHOWN_MAX]:
            note(_refusal(each))
        return f"  of the first {len(first):,} lines {len(wrong):,} would be refused"

    def end(self, file: RecipientFile, campaign_id: UUID, label: str, *, as_json: bool) -> None:
        """Print the summary."""
        totals = self.totals
        where = self._path if self._file is not None else None
        if as_json:
            print(orjson.dumps({
                "campaign_id": campaign_id, "lines": totals.lines, "added": totals.added,
                "countries": dict(totals.countries.most_common()), "duplicates": totals.duplicates,
                "refused": totals.refused, "refused_file": None if where is None else str(where),
                "encoding": file.encoding,
            }).decode())  # fmt: skip
        note(printable(
            f"added {totals.added:,} recipient(s) of {totals.lines:,} lines to {label}; {totals.duplicates:,} were "
            f"there, {totals.refused:,} refused"
        ))  # fmt: skip
        if where is not None:
            note(printable(f"{where} has the refused lines with their reasons. Correct them there, and import it."))

    def _notice(self, chunk: ImportedChunk) -> None:
        shown = self.totals.refused
        self.totals.count(chunk)
        for each in chunk.refused:
            if shown < SHOWN_MAX:
                self._progress.end()
                note(_refusal(each))
            elif shown == SHOWN_MAX:
                note("More refused lines are not shown here.")
            shown += 1
        if chunk.refused and self._path is not None:
            self._write(self._path, chunk.refused)
        self._show_progress()

    def _show_progress(self, *, is_last: bool = False) -> None:
        totals = self.totals
        what = f", {totals.added:,} added, {totals.duplicates:,} were there, {totals.refused:,} refused"
        self._progress.show_open("import", totals.lines, what, is_last=is_last)

    def _write(self, path: Path, refused: Sequence[UnaddedLine]) -> None:
        assert self._layout_of is not None
        layout = self._layout_of.layout
        assert layout is not None
        lines = [refused_line(layout, each.line, each.why.reason, each.message) for each in refused]
        try:
            if self._file is None:
                self._file = new_private_file(path)
                lines.insert(0, refused_head(layout))
            self._file.write("".join(lines).encode("utf-8", "surrogateescape"))
            self._file.flush()
        except OSError as error:
            raise unwritable(path, error) from None


def refused_path(file: str, named: Path | None, *, is_dry: bool) -> Path | None:
    """Where the refused lines go: as named, else beside the file; nowhere for a dry run without a name.

    Raises InvalidOptions for a file that exists: it may have corrections.
    """
    if named is None and is_dry:
        return None
    source = Path("recipients.csv" if file == STANDARD_INPUT else file)
    path = named or source.with_name(f"{source.stem}.refused{source.suffix}")
    if path.exists():
        raise InvalidOptions(f"{path} exists already. Import or remove it, or name another file with --refused.")
    if not os.access(path.parent, os.W_OK):
        raise InvalidOptions(f"{path} cannot be written. Name another file with --refused.")
    return path


def _columns(layout: Layout) -> list[str]:
    columns = layout.columns
    if columns is None:
        return []
    phone = columns.headers[columns.phone]
    lines = [
        f"  its first line is {'the header' if columns.has_headers else 'a recipient, not a header'}",
        f"  the phone numbers are in the column {phone}",
    ]
    if columns.json_parameters is not None:
        lines.append("  the template parameters are in the column template_parameters")
    lines += [f"  the template parameter {name} is in the column {columns.headers[place]}"
              for name, place in columns.parameters]  # fmt: skip
    if columns.unused:
        more = len(columns.unused) - COLUMNS_SHOWN_MAX
        names = ", ".join(columns.unused[:COLUMNS_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
        lines.append(f"  not used: {names}. To use a column as a template parameter: --parameter 1=COLUMN")
    if columns.decimal_commas:
        lines.append(f"  numbers with a decimal comma are sent as written: {', '.join(columns.decimal_commas)}")
    return lines


def _delimiter(delimiter: str) -> str:
    return DELIMITERS.get(delimiter, delimiter)


def _refusal(each: UnaddedLine) -> str:
    why = each.why
    return printable(f"line {why.line}: {why.value}: {why.reason}: {each.message}")
