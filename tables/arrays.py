"""Columns of a batch as PostgreSQL array literals, written by hand.

psycopg dumps a list element by element (about 1 µs each); a batch has 26 columns of thousands, most of them absent.
`plain` and `times` are safe without quoting because of what they take; anything free goes through `text`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID


def plain(values: Iterable[int | bool | UUID | None]) -> str:
    """Numbers, booleans and ids."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def times(values: Iterable[datetime | None]) -> str:
    """Aware times, exact to the microsecond."""
    return "{" + ",".join(["NULL" if value is None else value.isoformat() for value in values]) + "}"


def text(values: Iterable[str | None]) -> str | list[str | None]:
    """Any text: quoted by psycopg, unless there is none at all."""
    listed = list(values)
    return listed if any(value is not None for value in listed) else plain([None] * len(listed))
