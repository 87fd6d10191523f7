"""Splits text into lines while it arrives. A line ends with LF, CR LF or CR, and with nothing else.

Byte order marks at the start of a line are left out: a program wrote them twice, or files were put one after another.
"""

from __future__ import annotations

from domain.recipient_files.decoding import MARK

LINE_CHARACTERS_MAX = 65_536
"""Most characters of a line. Of a longer one only the start is kept, with one character more than this."""


class LineSplitter:
    """Splits the texts of one file in order. It keeps at most one line in memory beside the text that it is given."""

    def __init__(self) -> None:
        self._rest = ""
        self._ended_with_return = False

    def feed(self, text: str, *, is_last: bool = False) -> list[str]:
        """The lines that are complete, without their ends."""
        if self._ended_with_return and text:
            text = text.removeprefix("\n")
            self._ended_with_return = False
        self._ended_with_return = self._ended_with_return or text.endswith("\r")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = (self._rest + text).split("\n")
        if MARK in text:
            lines = [line.lstrip(MARK) for line in lines]
        self._rest = lines.pop()[: LINE_CHARACTERS_MAX + 1]
        if is_last and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return [line if len(line) <= LINE_CHARACTERS_MAX else line[: LINE_CHARACTERS_MAX + 1] for line in lines]
