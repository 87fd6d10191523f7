"""Publishing again what has not arrived: jobs that nobody claimed, and outcomes that nobody told.

It repeats, it decides nothing: a repeated job is stopped by its claim, a repeated event changes nothing. Claims past
their lease are declared unknown here, because only the leader looks at all of them.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from producers.scheduler.outbox import publish_and_record_jobs, publish_outcomes
from runtime.settings import Settings
from runtime.waiting import pause
from schemas.topics import Topic
from tables import ledger, releases
from tables.leadership import Leader
from topics.clients import consumer_config
from topics.publisher import AsyncPublisher, PublishFailed

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
        config = consumer_config(settings, SENDER_GROUP)
        config.pop("group.instance.id", None)  # it asks for the group's offsets and never joins
        # Not the admin client: in librdkafka 2.x its requests end the process where a broker dies under them.
        self._consumer = Consumer(config)
        self._asking = ThreadPoolExecutor(1, "sender-offsets")
        delay_s = max(SHORTEST_DELAY_S, releases.Patience().delay_s / settings.time_scale)
        self._patience = releases.Patience(delay_s=delay_s)

    async def run(self, stop: asyncio.Event) -> None:
        """A round a second; at once where a chunk was full. Kafka being away is waited for."""
        try:
            await self._rounds(stop)
        finally:  # after the question that may be under way, in the same thread
            self._asking.submit(self._consumer.close)
            self._asking.shutdown(wait=False)

    async def _rounds(self, stop: asyncio.Event) -> None:
        is_full = False
        while not await pause(stop, 0 if is_full else ROUND_S):
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
            partitions = await releases.partitions_awaited(connection)
        committed = await self._committed(partitions)
        async with self._leader.turn() as connection:
            jobs = await releases.find_unclaimed(connection, committed, self._patience, CHUNK_ROWS)
        if jobs:
            log.info("jobs published again: nobody claimed them", jobs=len(jobs))
        await publish_and_record_jobs(self._leader.turn, self._publisher, self._settings, jobs)
        return len(jobs)

    async def _committed(self, partitions: list[int]) -> dict[int, int]:
        """What the sender's group has committed; a partition without an offset was not passed."""
        if not partitions:
            return {}
        topic = self._settings.topic(Topic.SEND_JOBS)
        places = [TopicPartition(topic, each) for each in partitions]
        asked = self._asking.submit(self._consumer.committed, places, OFFSETS_TIMEOUT_S)
        found = await asyncio.wrap_future(asked)
        return {each.partition: each.offset for each in found if each.offset >= 0}
