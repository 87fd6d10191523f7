"""How far the topics between the ingress and the sinks reach, and how far the reconciler has passed them.

It joins no group. All calls run in threads of their own, because they block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from runtime.settings import Settings
from schemas.topics import Topic
from topics.lag import CommittedOffsets, KafkaAway, KafkaQueries, PartitionKey

TIMEOUT_S = 3.0


class PipelineOffsets:
    """Reads offsets. Every method raises KafkaAway if Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queries = KafkaQueries(settings, TIMEOUT_S)
        self._reconciler = CommittedOffsets(settings, "reconciler", TIMEOUT_S)
        self._thread = ThreadPoolExecutor(1, "pipeline-offsets")

    async def ends(self, topics: Iterable[Topic]) -> dict[PartitionKey, int]:
        """The offset after the last record of each partition that has records."""
        found: dict[PartitionKey, int] = {}
        for topic in topics:
            name = self._settings.topic(topic)
            marks = await asyncio.wrap_future(self._thread.submit(self._queries.watermarks, name))
            if not marks:  # Kafka forgets topics for a moment while a broker starts
                raise KafkaAway(f"no topic {name}")
            found.update({(name, partition): high for partition, (low, high) in marks.items() if high > low})
        return found

    async def reconciled(self, partitions: Iterable[PartitionKey]) -> dict[PartitionKey, int]:
        """The offset that the reconciler has passed in each of these partitions of `webhooks.raw`."""
        name = self._settings.topic(Topic.WEBHOOKS_RAW)
        wanted = sorted(partition for topic, partition in partitions if topic == name)
        return {(name, p): offset for p, offset in (await self._reconciler.read(name, wanted)).items()}

    def close(self) -> None:
        """Close after a query that may be under way. Does not wait."""
        self._reconciler.close()
        self._thread.submit(self._queries.__exit__)
        self._thread.shutdown(wait=False)
