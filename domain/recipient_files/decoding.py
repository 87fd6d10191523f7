"""Finds the encoding of a file from its bytes while they arrive, and decodes them. No byte stops the file.

A byte order mark decides. Without one, zero bytes between letters are UTF-16. A file that is ASCII so far is not
decided yet: the first other bytes are UTF-8 if many of them read so, and else Windows-1252, which Excel writes.

A byte that is no text in the encoding becomes half of a surrogate pair, so that the cell with it can be refused.
"""

from __future__ import annotations

import codecs
from enum import StrEnum


class FileEncoding(StrEnum):
    """The encodings that are found."""

    ASCII = "ASCII"
    UTF_8 = "UTF-8"
    UTF_8_MARKED = "UTF-8 with BOM"
    UTF_16_LE = "UTF-16 (little endian)"
    UTF_16_BE = "UTF-16 (big endian)"
    WINDOWS_1252 = "Windows-1252"
    """It is a guess: the bytes are not UTF-8, and nothing in them names another encoding."""


MARK = "\ufeff"
"""The byte order mark as a character."""
_CODECS = {
    FileEncoding.ASCII: "ascii",
    FileEncoding.UTF_8: "utf-8",
    FileEncoding.UTF_8_MARKED: "utf-8",
    FileEncoding.UTF_16_LE: "utf-16-le",
    FileEncoding.UTF_16_BE: "utf-16-be",
    FileEncoding.WINDOWS_1252: "cp1252",
}
_MARKS = (
    (codecs.BOM_UTF8, FileEncoding.UTF_8_MARKED),
    (codecs.BOM_UTF16_LE, FileEncoding.UTF_16_LE),
    (codecs.BOM_UTF16_BE, FileEncoding.UTF_16_BE),
)
_START_BYTES = 64
"""So many bytes show whether there are zero bytes between letters."""
_ASCII_MAX = 0x7F
_PROOF_BYTES = 4
"""The longest character of UTF-8."""


class FileDecoder:
    """Decodes the blocks of one file in order."""

    def __init__(self) -> None:
        self._kept = b""
        self._has_started = False
        self._encoding = FileEncoding.ASCII
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def encoding(self) -> FileEncoding:
        """What the bytes so far are."""
        return self._encoding

    def feed(self, block: bytes, *, is_last: bool = False) -> str:
        """The text of this block, without the byte order mark. Some of it may come with the next block."""
        if self._decoder is not None:
            return self._decoder.decode(block, is_last)
        found = self._kept + block
        self._kept = b""
        if not self._has_started:
            if len(found) < _START_BYTES and not is_last:
                self._kept = found
                return ""
            self._has_started = True
            for mark, encoding in _MARKS:
                if found.startswith(mark):
                    return self._decide(encoding).decode(found.removeprefix(mark), is_last)
            if (wide := _wide(found[:_START_BYTES])) is not None:
                return self._decide(wide).decode(found, is_last)
        return self._undecided(found, is_last=is_last)

    def _undecided(self, found: bytes, *, is_last: bool) -> str:
        """The text of bytes after which the encoding may be open still."""
        if found.isascii():
            return found.decode("ascii")
        start = next(place for place, byte in enumerate(found) if byte > _ASCII_MAX)
        before, rest = found[:start].decode("ascii"), found[start:]
        if len(rest) < _PROOF_BYTES and not is_last:
            self._kept = rest
            return before
        encoding = FileEncoding.UTF_8 if _reads_as_utf_8(rest) else FileEncoding.WINDOWS_1252
        return before + self._decide(encoding).decode(rest, is_last)

    def _decide(self, encoding: FileEncoding) -> codecs.IncrementalDecoder:
        self._encoding = encoding
        is_wide = encoding in (FileEncoding.UTF_16_LE, FileEncoding.UTF_16_BE)
        errors = "replace" if is_wide else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(_CODECS[encoding])(errors)
        return self._decoder


def _wide(start: bytes) -> FileEncoding | None:
    """UTF-16 without a mark: every second byte of most letters is zero."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    quarter = len(start) / 4
    if odd > quarter and even == 0:
        return FileEncoding.UTF_16_LE
    return FileEncoding.UTF_16_BE if even > quarter and odd == 0 else None


def _reads_as_utf_8(found: bytes) -> bool:
    """Whether the bytes are UTF-8, perhaps with some broken ones. The last character may be cut.

    Bytes of another encoding hardly ever form characters of UTF-8, so a few such characters prove much.
    """
    text = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode(found)
    lost = sum("\udc80" <= character <= "\udcff" for character in text)
    read = sum(character > "\x7f" for character in text) - lost
    return read * 2 >= lost
