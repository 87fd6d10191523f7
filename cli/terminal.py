"""Text that others wrote (names, errors, records), for a terminal: it is shown, and never obeyed."""

from __future__ import annotations

_KEPT = frozenset("\n\t")


def printable(text: str) -> str:
    """On one line; what steers a terminal or turns its text around is shown as an escape."""
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def printable_lines(text: str) -> str:
    """The same, line breaks and tabs kept: for the body of a record."""
    return "".join(each if each.isprintable() or each in _KEPT else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
