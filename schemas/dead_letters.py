"""The headers of a dead letter: which stage refused it, why, and where it came from. The value is the raw bytes.

A redrive reads nothing but these headers and the value, so they are an interface.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.codec import Malformed

STAGE, REASON, TOPIC, PARTITION, OFFSET, INDEX, PRODUCER = (
    "stage",
    "reason",
    "origin_topic",
    "origin_partition",
    "origin_offset",
    "origin_index",
    "producer",
)

REASON_BUG = "bug"
"""The item made our code raise; kept for us, not for its sender."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why one item was set aside. `origin_index`: the body in its bundle, or 0."""

    stage: str
    reason: str
    origin_topic: str
    origin_partition: int
    origin_offset: int
    origin_index: int = 0

    def headers(self, producer: str) -> list[tuple[str, bytes]]:
        """As Kafka headers."""
        return [
            (STAGE, self.stage.encode()),
            (REASON, self.reason.encode()),
            (TOPIC, self.origin_topic.encode()),
            (PARTITION, str(self.origin_partition).encode()),
            (OFFSET, str(self.origin_offset).encode()),
            (INDEX, str(self.origin_index).encode()),
            (PRODUCER, producer.encode()),
        ]


Value = bytes | str | None


def read_headers(headers: Mapping[str, Value] | Iterable[tuple[str, Value]] | None) -> DeadLetter:
    """The headers of a dead letter, as clients give them. Raises Malformed when one is missing or wrong."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers or ()
    try:
        found = {name: value.decode() if isinstance(value, bytes) else value or "" for name, value in pairs}
        return DeadLetter(
            found[STAGE], found[REASON], found[TOPIC], int(found[PARTITION]), int(found[OFFSET]), int(found[INDEX])
        )
    except (KeyError, ValueError) as error:
        raise Malformed(f"dead letter: header {error}") from None
