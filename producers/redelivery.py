"""Publishing again what has not arrived: jobs that nobody claimed, and outcomes that nobody told.

It repeats, it decides nothing: a repeated job is stopped by its claim, a repeated event changes nothing. Claims past
their lease are declared unknown here, because only the leader looks at all of them.
"""

from __future__ import annotations

import asyncio

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from producers.leadership import Leader, waited
from runtime.kafka import AsyncPublisher, PublishFailed, client_config
from runtime.settings import Settings
from schemas.topics import Topic
from sinks import ledger, release
from sinks.outbox import publish_jobs, publish_outcomes

ROUND_S = 1.0
CHUNK_ROWS = 1000
OFFSETS_TIMEOUT_S = 5.0
SHORTEST_DELAY_S = 0.5
SENDER_GROUP = "sender"

log = structlog.get_logger("scheduler")


class Redelivery:
    """One loop of the leader."""

    def __init__(self, leader: Leader, publisher: AsyncPublisher, settings: Settings) -> None:
        self._leader = leader
        self._publisher = publisher
        self._settings = settings
        self._admin = AdminClient(client_config(settings))
        delay_s = max(SHORTEST_DELAY_S, release.Patience().delay_s / settings.time_scale)
        self._patience = release.Patience(delay_s=delay_s)

    async def run(self, stop: asyncio.Event) -> None:
        """A round a second; at once where a chunk was full. Kafka being away is waited for."""
        is_full = False
        while not await waited(stop, 0 if is_full else ROUND_S):
            try:
                is_full = await self._round()
            except (PublishFailed, KafkaException, TimeoutError) as error:
                is_full = False
                log.warning("nothing published again: Kafka is away", error=str(error))

    async def _round(self) -> bool:
        async with self._leader.turn() as connection:
            unknown = await ledger.declare_unknown(connection, CHUNK_ROWS)
            untold = await ledger.unpublished(connection, CHUNK_ROWS)
        if unknown:
            log.warning("outcome unknown: claims past their lease without an answer", attempts=len(unknown))
        # What was declared now may be among the untold of the next round: twice is harmless.
        await publish_outcomes(self._leader.turn, self._publisher, self._settings, [*unknown, *untold])
        return max(len(unknown), len(untold), await self._publish_unclaimed()) >= CHUNK_ROWS

    async def _publish_unclaimed(self) -> int:
        async with self._leader.turn() as connection:
            partitions = await release.partitions_awaited(connection)
        committed = await self._committed(partitions)
        async with self._leader.turn() as connection:
            jobs = await release.find_unclaimed(connection, committed, self._patience, CHUNK_ROWS)
        if jobs:
            log.info("jobs published again: nobody claimed them", jobs=len(jobs))
        await publish_jobs(self._leader.turn, self._publisher, self._settings, jobs)
        return len(jobs)

    async def _committed(self, partitions: list[int]) -> dict[int, int]:
        """What the sender's group has committed; a partition without an offset was not passed."""
        if not partitions:
            return {}
        topic = self._settings.topic(Topic.SEND_JOBS)
        group = self._settings.group(SENDER_GROUP)
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, each) for each in partitions])
        futures = self._admin.list_consumer_group_offsets([asked], request_timeout=OFFSETS_TIMEOUT_S)
        found = await asyncio.wrap_future(futures[group])
        return {each.partition: each.offset for each in found.topic_partitions if each.offset >= 0}
