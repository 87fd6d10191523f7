"""A dead letter: the bytes that could not be processed, and headers with the stage, the reason and the origin.

A redrive reads only these headers and the value, so they are a public interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.codec import Malformed
from schemas.places import Place
from schemas.reasons import NO_EVIDENCE

STAGE, REASON, TOPIC, PARTITION, OFFSET, INDEX, ITEMS, REDRIVEN, BY_PLACE, PRODUCER, ERROR = (
    "stage",
    "reason",
    "origin_topic",
    "origin_partition",
    "origin_offset",
    "origin_index",
    "origin_items",
    "redriven",
    "by_place",
    "producer",
    "error",
)
ERROR_CHARS_MAX = 500
ITEMS_LISTED_MAX = 100
"""How many items of a body a dead letter names. All of its items are in its bytes."""
REDRIVES_MAX = 3
"""A letter that was redriven so often and was refused again is quarantined: it stays where it is."""


@dataclass(frozen=True, slots=True)
class DeadItem:
    """A record, or one body of it, that a stage cannot process. It will be published as one dead letter."""

    origin: Place
    key: bytes | None
    value: bytes | None
    """The bytes as they were received. A body of a bundle is again a bundle, of one body."""
    reason: str
    error: str = ""
    """Details beyond the reason code, without values; phone numbers and message ids are masked."""
    raised: Exception | None = None
    """The exception of our own code, where the reason is `bug`."""
    items: tuple[int, ...] = ()
    """The positions of the refused items in the body, if other items of it were not refused."""
    share: float = 1.0
    """Which part of the record or body was refused. The limit on the share counts it."""
    redriven: int = 0
    """How often an operator has redriven it."""

    @property
    def is_evidence(self) -> bool:
        """Whether it says something about our code: limits count only such items. A redriven one was counted before."""
        return self.reason not in NO_EVIDENCE and self.redriven == 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The headers of a dead letter. The item of `origin` is the index of a body in its bundle, or 0."""

    stage: str
    reason: str
    origin: Place
    error: str = ""
    items: tuple[int, ...] = ()
    """The first positions of the refused items in the body. Empty: all of it was refused."""
    redriven: int = 0
    """How often an operator has redriven it."""
    is_by_place: bool = False
    """Whether the value is only an excerpt, because the record is too large. The record is at its origin."""

    def headers(self, producer: str) -> list[tuple[str, bytes]]:
        """The headers as Kafka takes them; `producer` is the version of this software."""
        headers = [
            (STAGE, self.stage),
            (REASON, self.reason),
            (TOPIC, self.origin.topic),
            (PARTITION, str(self.origin.partition)),
            (OFFSET, str(self.origin.offset)),
            (INDEX, str(self.origin.item or 0)),
            (PRODUCER, producer),
        ]
        if self.items:
            headers.append((ITEMS, ",".join(map(str, self.items[:ITEMS_LISTED_MAX]))))
        if self.redriven:
            headers.append((REDRIVEN, str(self.redriven)))
        if self.is_by_place:
            headers.append((BY_PLACE, "1"))
        if self.error:
            headers.append((ERROR, self.error[:ERROR_CHARS_MAX]))
        return [(name, value.encode("utf-8", "replace")) for name, value in headers]


Value = bytes | str | None


def read_headers(headers: Mapping[str, Value] | Iterable[tuple[str, Value]] | None) -> DeadLetter:
    """Read headers as Kafka clients return them. Raises Malformed if one is missing or invalid."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        found = {name: value.decode() if isinstance(value, bytes) else value or "" for name, value in pairs}
        partition, offset, index = (_number(found[name]) for name in (PARTITION, OFFSET, INDEX))
        origin = Place(found[TOPIC], partition, offset, index)
        items = tuple(_number(each) for each in found.get(ITEMS, "").split(",") if each)
        return DeadLetter(
            found[STAGE], found[REASON], origin, found.get(ERROR, ""),
            items, redrives(found), is_by_place=BY_PLACE in found,
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise Malformed(f"dead letter: header {error}") from None


def redrives(headers: Mapping[str, Value] | Iterable[tuple[str, Value]]) -> int:
    """How often a record was redriven, by its headers. 0 if the header is missing or invalid."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    for name, value in pairs:
        if name == REDRIVEN:
            text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
            return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return 0


def _number(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError("no offset is so large")
    return number
