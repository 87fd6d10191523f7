"""A dead letter: the bytes that could not be processed, and headers with the stage, the reason and the origin.

A redrive reads only these headers and the value, so they are a public interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.codec import Malformed
from schemas.places import Place

STAGE, REASON, TOPIC, PARTITION, OFFSET, INDEX, PRODUCER, ERROR = (
    "stage",
    "reason",
    "origin_topic",
    "origin_partition",
    "origin_offset",
    "origin_index",
    "producer",
    "error",
)
ERROR_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class DeadItem:
    """A record, or one item of it, that a stage cannot process. It will be published as a dead letter."""

    origin: Place
    key: bytes | None
    value: bytes | None
    """The bytes as they were received. An item of a bundle is again a bundle, of one body."""
    reason: str
    error: str = ""
    """Details beyond the reason code, without values; phone numbers and message ids are masked."""
    raised: Exception | None = None
    """The exception of our own code, where the reason is `bug`."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The headers of a dead letter. The item of `origin` is the index of a body in its bundle, or 0."""

    stage: str
    reason: str
    origin: Place
    error: str = ""

    def headers(self, producer: str) -> list[tuple[str, bytes]]:
        """The headers as Kafka takes them; `producer` is the version of this software."""
        headers = [
            (STAGE, self.stage.encode()),
            (REASON, self.reason.encode()),
            (TOPIC, self.origin.topic.encode()),
            (PARTITION, str(self.origin.partition).encode()),
            (OFFSET, str(self.origin.offset).encode()),
            (INDEX, str(self.origin.item or 0).encode()),
            (PRODUCER, producer.encode()),
        ]
        return [*headers, (ERROR, self.error[:ERROR_CHARS_MAX].encode())] if self.error else headers


Value = bytes | str | None


def read_headers(headers: Mapping[str, Value] | Iterable[tuple[str, Value]] | None) -> DeadLetter:
    """Read headers as Kafka clients return them. Raises Malformed if one is missing or invalid."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        found = {name: value.decode() if isinstance(value, bytes) else value or "" for name, value in pairs}
        partition, offset, index = (_number(found[name]) for name in (PARTITION, OFFSET, INDEX))
        origin = Place(found[TOPIC], partition, offset, index)
        return DeadLetter(found[STAGE], found[REASON], origin, found.get(ERROR, ""))
    except (KeyError, ValueError) as error:
        raise Malformed(f"dead letter: header {error}") from None


def _number(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError("no offset is so large")
    return number
