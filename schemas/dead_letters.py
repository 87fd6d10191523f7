"""The headers of a dead letter: which stage refused it, why, and where it came from. The value is the raw bytes.

A redrive reads nothing but these headers and the value, so they are an interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.codec import Malformed

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
class DeadLetter:
    """Why one item was set aside. `origin_index`: the body in its bundle, or 0.

    `error` says more than the reason code where there is more to say: no values, numbers and message ids masked.
    """

    stage: str
    reason: str
    origin_topic: str
    origin_partition: int
    origin_offset: int
    origin_index: int = 0
    error: str = ""

    def headers(self, producer: str) -> list[tuple[str, bytes]]:
        """As Kafka headers."""
        headers = [
            (STAGE, self.stage.encode()),
            (REASON, self.reason.encode()),
            (TOPIC, self.origin_topic.encode()),
            (PARTITION, str(self.origin_partition).encode()),
            (OFFSET, str(self.origin_offset).encode()),
            (INDEX, str(self.origin_index).encode()),
            (PRODUCER, producer.encode()),
        ]
        return [*headers, (ERROR, self.error[:ERROR_CHARS_MAX].encode())] if self.error else headers


Value = bytes | str | None


def read_headers(headers: Mapping[str, Value] | Iterable[tuple[str, Value]] | None) -> DeadLetter:
    """The headers of a dead letter, as clients give them. Raises Malformed when one is missing or wrong."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        found = {name: value.decode() if isinstance(value, bytes) else value or "" for name, value in pairs}
        partition, offset, index = (_number(found[name]) for name in (PARTITION, OFFSET, INDEX))
        return DeadLetter(found[STAGE], found[REASON], found[TOPIC], partition, offset, index, found.get(ERROR, ""))
    except (KeyError, ValueError) as error:
        raise Malformed(f"dead letter: header {error}") from None


def _number(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError("no offset is so large")
    return number
