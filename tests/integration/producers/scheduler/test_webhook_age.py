"""The watch over the webhooks, on a real broker and a real Postgres: it advances only with what is applied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, TopicPartition

from producers.scheduler.webhook_age import WebhookWatch
from runtime.settings import Settings
from schemas.sources import Source
from schemas.subscriptions import SubscriptionEvent, SubscriptionKind
from tables.leadership import Leader
from tables.webhook_progress import read_age
from tests.support.world import World
from topics.clients import observer_config

AGE_MOVED = "UPDATE webhook_progress SET applied_through = applied_through - interval '1 hour'"


@asynccontextmanager
async def watching(world: World, settings: Settings) -> AsyncIterator[WebhookWatch]:
    watch = WebhookWatch(Leader(world.connection), settings)
    try:
        yield watch
    finally:
        watch.close()


def commit(settings: Settings, topic: str, partition: int, offset: int) -> None:
    """Commit as the reconciler does."""
    consumer = Consumer(observer_config(settings, "reconciler"))
    try:
        consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    finally:
        consumer.close()


async def is_up_to_date(world: World, watch: WebhookWatch) -> bool:
    """Whether a look moves an old moment to the present."""
    await world.run(AGE_MOVED)
    await watch.look()
    age_s = await read_age(world.connection)
    return age_s is not None and age_s < 60


@pytest.mark.usefixtures("topics")
async def test_the_moment_advances_only_with_what_the_reconciler_and_the_sink_have_passed(
    world: World, settings: Settings
) -> None:
    async with watching(world, settings) as watch:
        assert await read_age(world.connection) is None
        await watch.look()
        assert (await read_age(world.connection) or 0) < 60, "nothing was received, so nothing waits"
        assert await is_up_to_date(world, watch)
        await world.publish(world.webhooks, (b"x", b"a webhook"))
        assert not await is_up_to_date(world, watch)
        [partition] = {message.partition() or 0 for message in await world.read(world.webhooks)}
        opt_out = SubscriptionEvent(
            person="15550000001", kind=SubscriptionKind.OPTED_OUT, source=Source.KEYWORD, occurred_at=datetime.now(UTC)
        )
        await world.publish_subscriptions(opt_out)
        await asyncio.to_thread(commit, settings, world.webhooks, partition, 1)
        assert not await is_up_to_date(world, watch), "the sink has not applied its event"
        async with world.running_sinks():
            await world.wait_for_applied(1, world.subscriptions)
        assert await is_up_to_date(world, watch)
        await world.run("UPDATE sink_offsets SET topic_id = 'of a deleted topic'")
        await world.publish_subscriptions(opt_out)
    async with watching(world, settings) as watch:
        assert not await is_up_to_date(world, watch), "stored offsets of another topic mean nothing"


@pytest.mark.usefixtures("topics")
async def test_an_opt_out_whose_row_is_locked_holds_the_moment_back(world: World, settings: Settings) -> None:
    await world.run(
        "INSERT INTO waiting_subscriptions VALUES"
        " (DEFAULT, now() - interval '90 s', true, '15550000001', NULL, 'keyword', false, now(), '{}'),"
        " (DEFAULT, now() - interval '2 h', false, '15550000002', 'wamid.x', 'keyword', false, now(), '{}')"
    )
    async with watching(world, settings) as watch:
        await watch.look()
    age_s = await read_age(world.connection)
    assert age_s is not None
    assert 60 < age_s < 3600
