"""A consumer with a stable name hands its partitions over at once when it is closed, and is fenced by its namesake."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import pytest

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Watermarks
from tests.support.kafka_topics import create_topics, wait_for_leaders
from tests.support.waiting import eventually_async
from topics.intake import RecordIntake

PARTITIONS = 4
WAIT_S = 30.0
SESSION_TIMEOUT_S = 10.0


async def the_beginning(available: Watermarks) -> Mapping[int, int]:
    return {partition: low for partition, (low, _) in available.items()}


async def test_the_partitions_of_a_closed_consumer_have_another_owner_at_once(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}shared"
    one, two = (
        Settings.model_validate(
            {
                "kafka_bootstrap_servers": kafka,
                "database_url": "postgresql://x",
                "topic_prefix": topic_prefix,
                "instance": name,
            }
        )
        for name in ("one", "two")
    )
    await asyncio.to_thread(create_topics, kafka, topic, partitions=PARTITIONS)
    await asyncio.to_thread(wait_for_leaders, one, topic)
    intakes = [RecordIntake(settings, "sink", topic, the_beginning) for settings in (one, two)]
    ending = [asyncio.Event(), asyncio.Event()]

    async def consume(number: int) -> None:
        await intakes[number].open()
        while not ending[number].is_set():
            await intakes[number].take()
        await intakes[number].close()

    async def has(*shares: int) -> bool:
        return tuple(len(intake.positions) for intake in intakes) == shares

    tasks = [asyncio.create_task(consume(number)) for number in range(2)]
    try:
        await eventually_async(lambda: has(PARTITIONS // 2, PARTITIONS // 2))
        ending[0].set()
        await tasks[0]
        since = time.monotonic()
        await eventually_async(lambda: has(0, PARTITIONS))
        assert time.monotonic() - since < SESSION_TIMEOUT_S / 2
    finally:
        for event in ending:
            event.set()
        await asyncio.gather(*tasks)


async def test_a_consumer_that_its_namesake_fences_requests_a_restart(kafka: str, topic_prefix: str) -> None:
    topic = f"{topic_prefix}fenced"
    settings = Settings.model_validate(
        {
            "kafka_bootstrap_servers": kafka,
            "database_url": "postgresql://x",
            "topic_prefix": topic_prefix,
            "instance": "one",
        }
    )
    await asyncio.to_thread(create_topics, kafka, topic, partitions=1)
    await asyncio.to_thread(wait_for_leaders, settings, topic)
    older, newer = (RecordIntake(settings, "sink", topic, the_beginning) for _ in range(2))

    async def take_until(intake: RecordIntake, is_done: Callable[[], bool]) -> None:
        while not is_done():
            await intake.take()

    await older.open()
    await asyncio.wait_for(take_until(older, lambda: bool(older.positions)), WAIT_S)
    await newer.open()
    is_fenced = asyncio.Event()
    reading = asyncio.create_task(take_until(newer, is_fenced.is_set))
    try:
        with pytest.raises(Transient, match="fenced"):
            await asyncio.wait_for(take_until(older, lambda: False), WAIT_S)
    finally:
        is_fenced.set()
        await reading
        await older.close()
        await newer.close()
