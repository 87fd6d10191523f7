"""A publisher that keeps its records in memory, for tests of a stage without a broker.

It behaves like `AsyncPublisher` in what a stage can observe; the same contract tests run on both.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from schemas.places import Outgoing
from schemas.topics import DEFAULT_RECORD_BYTES_MAX, TopicSpec
from topics.publisher import PUBLISH_TIMEOUT_S, PublishFailed, RecordTooLarge


class MemoryPublisher:
    """Keeps records by topic. Without `specs` every topic exists, has one partition and takes records up to 1 MiB."""

    def __init__(self, specs: Iterable[TopicSpec] | None = None) -> None:
        self.records: list[Outgoing] = []
        """Every record that was published, in order."""
        self.is_down = False
        """While it is True, nothing is acknowledged."""
        self._specs = None if specs is None else {spec.name: spec for spec in specs}
        self._next_offset: Counter[tuple[str, int]] = Counter()
        self._next_partition: defaultdict[str, int] = defaultdict(int)

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        """Keep all records and return their (partition, offset). See `Publisher`."""
        if records and self.is_down:
            raise PublishFailed(f"{len(records)} records: no acknowledgement within {timeout_s:.0f} s")
        if any(self._spec(record.topic) is None for record in records):
            raise PublishFailed("unknown topic")
        too_large = [index for index, record in enumerate(records) if _size(record) > self._bytes_max(record.topic)]
        places = [self._append(record) for index, record in enumerate(records) if index not in too_large]
        if too_large:
            raise RecordTooLarge(too_large)
        return places

    async def publish_all(self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S) -> None:
        """Keep all records. See `Publisher`."""
        await self.publish_batch(records, timeout_s)

    async def is_reachable(self, topic: str, timeout_s: float = 2.0) -> bool:  # noqa: ARG002 - as the real one
        """Whether it is not down and knows the topic."""
        return not self.is_down and self._spec(topic) is not None

    async def flush(self, timeout_s: float = 30.0) -> int:  # noqa: ARG002 - as the real one
        """Nothing is on its way."""
        return 0

    async def close(self, timeout_s: float = 30.0) -> int:  # noqa: ARG002 - as the real one
        """Nothing is left."""
        return 0

    def of_topic(self, topic: str) -> list[Outgoing]:
        """The records of one topic, in order."""
        return [record for record in self.records if record.topic == topic]

    def _spec(self, topic: str) -> TopicSpec | None:
        if self._specs is None:
            return TopicSpec(topic, 1, -1)
        return self._specs.get(topic)

    def _bytes_max(self, topic: str) -> int:
        spec = self._spec(topic)
        return DEFAULT_RECORD_BYTES_MAX if spec is None else spec.record_bytes_max

    def _append(self, record: Outgoing) -> tuple[int, int]:
        spec = self._spec(record.topic)
        partitions = 1 if spec is None else spec.partitions
        if record.key is None:
            partition = self._next_partition[record.topic] % partitions
            self._next_partition[record.topic] += 1
        else:
            partition = zlib.crc32(record.key) % partitions
        offset = self._next_offset[record.topic, partition]
        self._next_offset[record.topic, partition] += 1
        self.records.append(record)
        return partition, offset


def _size(record: Outgoing) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers or ())
    return len(record.key or b"") + len(record.value or b"") + headers
