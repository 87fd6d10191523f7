"""Reads the recipients that `campaigns add` was given: numbers, files, or standard input.

A file has a number per line, or the JSON that the REST API takes: a list, an object with `phone_numbers`, or an object
per line. Each recipient keeps the place from which it came, so that a refusal can name it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from domain.json_values import MalformedJson, read_json
from operations.options import InvalidOptions

BYTES_MAX = 32 * 1024 * 1024
"""Most bytes of one file: about two million numbers. All of it is in memory at once."""
STANDARD_INPUT = "-"
_FILE_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class GivenRecipient:
    """A recipient as it was written, and its place: an argument, or a line or item of a file."""

    place: str
    item: object = field(repr=False)


def read_recipients(arguments: Sequence[str]) -> list[GivenRecipient]:
    """All recipients that the arguments name, in order. Raises InvalidOptions for a file that cannot be read."""
    if arguments.count(STANDARD_INPUT) > 1:
        raise InvalidOptions("- may be given only once: standard input can be read once.")
    found: list[GivenRecipient] = []
    for number, argument in enumerate(arguments, start=1):
        if argument == STANDARD_INPUT:
            found += recipients_in(_read_standard_input(), "standard input")
        elif is_file(argument):
            found += recipients_in(_read_file(Path(argument)), argument)
        else:
            found.append(GivenRecipient(f"argument {number}", argument))
    if not found:
        raise InvalidOptions("There is no recipient in the input.")
    return found


def is_file(argument: str) -> bool:
    """Whether the argument names a file, existing or not, rather than a phone number."""
    looks_so = _FILE_ENDING.search(argument) is not None or (os.sep in argument and re.search("[A-Za-z]", argument))
    return bool(looks_so) or ("\0" not in argument and Path(argument).is_file())


def recipients_in(content: bytes, name: str) -> Iterator[GivenRecipient]:
    """The recipients of a file. Empty lines, and lines that begin with #, are left out. Raises InvalidOptions."""
    text = _decoded(content)
    if text.lstrip()[:1] == "[" or _is_one_object(text):
        yield from _items(text, name)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        written = line.strip()
        if written and not written.startswith("#"):
            yield GivenRecipient(f"{name}, line {number}", _object_or_text(written))


def _is_one_object(text: str) -> bool:
    """Whether the text is one object with a list, and not an object per line."""
    begin = text.lstrip()
    return begin.startswith("{") and "phone_numbers" in begin.partition("[")[0]


def _object_or_text(line: str) -> object:
    """A JSON object, or else the line itself. A malformed object is then refused, and stops no other line."""
    if line.startswith("{"):
        with suppress(MalformedJson):
            return read_json(line.encode())
    return line


def _items(text: str, name: str) -> Iterator[GivenRecipient]:
    document = _parsed(text, name)
    if isinstance(document, dict) and (unknown := sorted(document.keys() - {"phone_numbers"})):
        raise InvalidOptions(f"{name}: only phone_numbers is read from a file, not {', '.join(unknown)}.")
    items = document.get("phone_numbers") if isinstance(document, dict) else document
    if not isinstance(items, list):
        raise InvalidOptions(f"{name}: phone_numbers must be a list of numbers or objects.")
    for number, item in enumerate(items, start=1):
        yield GivenRecipient(f"{name}, item {number}", item)


def _parsed(text: str, place: str) -> object:
    try:
        return read_json(text.encode())
    except MalformedJson as error:
        raise InvalidOptions(f"{place}: this is not valid JSON: {error}.") from None


def _decoded(content: bytes) -> str:
    """The text. Bytes that are not UTF-8 stay visible, so that their line is refused and no other."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _limited(file.read(BYTES_MAX + 1), str(path))
    except OSError as error:
        raise InvalidOptions(f"{path} cannot be read: {error.strerror}.") from None


def _read_standard_input() -> bytes:
    return _limited(sys.stdin.buffer.read(BYTES_MAX + 1), "standard input")


def _limited(content: bytes, name: str) -> bytes:
    if len(content) > BYTES_MAX:
        raise InvalidOptions(f"{name} has more than {BYTES_MAX // 1024 // 1024} MiB. Split it, and add the parts.")
    return content
