"""Makes the columns of a batch PostgreSQL arrays in the binary format.

The server reads a binary array in a third of the time of an array literal, and the client makes it as fast. Each array
has a class of its own, because psycopg finds the type of a parameter by its class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from struct import Struct
from typing import ClassVar, TypeVar

import psycopg
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""The beginning of PostgreSQL's time."""
_HEADER = Struct(">iiIii").pack
_NULL = b"\xff\xff\xff\xff"
"""The length of an element that is NULL."""
_SMALLINT, _INTEGER, _BIGINT = Struct(">ih").pack, Struct(">ii").pack, Struct(">iq").pack
_BOOLEAN = (b"\0\0\0\1\0", b"\0\0\0\1\1")
_UUID = b"\0\0\0\x10"
"""The length of an element that is a UUID."""

T = TypeVar("T")


class BinaryArray(bytes):
    """An array in the binary format. `oid` is that of the array, and `element` that of an element."""

    oid: ClassVar[int]
    element: ClassVar[int]

    def __init_subclass__(cls, *, oid: int, element: int) -> None:
        cls.oid, cls.element = oid, element
        dumper = type(f"{cls.__name__}Dumper", (_Dumper,), {"oid": oid})
        psycopg.adapters.register_dumper(cls, dumper)


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> Buffer:
        """The array is what the server reads."""
        return obj


class UuidArray(BinaryArray, oid=2951, element=2950):
    """Values of uuid."""


class TextArray(BinaryArray, oid=1009, element=25):
    """Values of text."""


class TimeArray(BinaryArray, oid=1185, element=1184):
    """Values of timestamptz."""


class SmallintArray(BinaryArray, oid=1005, element=21):
    """Values of smallint."""


class IntegerArray(BinaryArray, oid=1007, element=23):
    """Values of integer."""


class BigintArray(BinaryArray, oid=1016, element=20):
    """Values of bigint."""


class BooleanArray(BinaryArray, oid=1000, element=16):
    """Values of boolean."""


def uuids(values: Sequence[bytes]) -> UuidArray:
    """Ids, each as its 16 bytes."""
    return UuidArray(_header(UuidArray, len(values)) + b"".join([_UUID + value for value in values]))


def uuids_after(start: bytes, ends: Sequence[bytes]) -> UuidArray:
    """Ids that begin alike: the first bytes of all, and the other bytes of each."""
    if not ends:
        return UuidArray(_header(UuidArray, 0))
    first = _UUID + start
    return UuidArray(_header(UuidArray, len(ends)) + first + first.join(ends))


def texts(values: Sequence[str | None]) -> TextArray:
    """Any text."""
    return TextArray(_array(TextArray, values, _text))


def words(values: Sequence[str | None]) -> TextArray:
    """Texts of which many are the same. Each of them is encoded once."""
    return TextArray(_repeated(TextArray, values, _text))


def times(values: Sequence[datetime | None]) -> TimeArray:
    """Aware times, exact to the microsecond. Many are the same, because Meta states whole seconds."""
    return TimeArray(_repeated(TimeArray, values, _time))


def smallints(values: Sequence[int | None]) -> SmallintArray:
    """Numbers of 16 bits."""
    elements = [_NULL if value is None else _SMALLINT(2, value) for value in values]
    return SmallintArray(_header(SmallintArray, len(values)) + b"".join(elements))


def integers(values: Sequence[int | None]) -> IntegerArray:
    """Numbers of 32 bits."""
    elements = [_NULL if value is None else _INTEGER(4, value) for value in values]
    return IntegerArray(_header(IntegerArray, len(values)) + b"".join(elements))


def bigints(values: Sequence[int]) -> BigintArray:
    """Numbers of 64 bits."""
    return BigintArray(_header(BigintArray, len(values)) + b"".join([_BIGINT(8, value) for value in values]))


def booleans(values: Sequence[bool]) -> BooleanArray:
    """Booleans."""
    return BooleanArray(_header(BooleanArray, len(values)) + b"".join([_BOOLEAN[value] for value in values]))


def _header(kind: type[BinaryArray], count: int) -> bytes:
    """One dimension that begins at 1, and elements that may be NULL. An empty array has no dimension."""
    return _HEADER(1, 1, kind.element, count, 1) if count else _HEADER(0, 0, kind.element, 0, 0)[:12]


def _array(kind: type[BinaryArray], values: Sequence[T | None], element: Callable[[T], bytes]) -> bytes:
    return _header(kind, len(values)) + b"".join([_NULL if value is None else element(value) for value in values])


def _repeated(kind: type[BinaryArray], values: Sequence[T | None], element: Callable[[T], bytes]) -> bytes:
    """The same for values of which many are the same."""
    made: dict[T | None, bytes] = {value: element(value) for value in set(values) if value is not None}
    made[None] = _NULL
    return _header(kind, len(values)) + b"".join(map(made.__getitem__, values))


def _text(value: str) -> bytes:
    encoded = value.encode()
    return len(encoded).to_bytes(4) + encoded


def _time(value: datetime) -> bytes:
    since = value - _EPOCH
    return _BIGINT(8, (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
