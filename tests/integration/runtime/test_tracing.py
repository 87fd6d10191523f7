"""One trace follows a message through all parts, on a real Kafka and a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from domain.traces import HEADER, read_traceparent, trace_id_of
from producers.scheduler import process as scheduler
from runtime.settings import Settings
from schemas.model import RecipientId
from schemas.places import Record
from schemas.topics import Topic
from streams.reconciler.process import Reconciler
from streams.sender.process import sending
from tests.support.kafka_topics import create_topics, read_all, wait_for_leaders
from tests.support.sender_bench import Api
from tests.support.spans import values
from tests.support.waiting import eventually_async
from tests.support.world import World
from topics.publisher import AsyncPublisher
from topics.records import record_of

if TYPE_CHECKING:
    from tests.support.spans import Spans

TOKEN = "a-token-of-the-test"


async def read(world: World, topic: str) -> list[Record]:
    return [record_of(topic, message) for message in await asyncio.to_thread(read_all, world.kafka, topic)]


async def until_done(
    process: Callable[[Settings, asyncio.Event], Awaitable[None]],
    settings: Settings,
    is_done: Callable[[], Awaitable[bool]],
) -> None:
    """Run a process until the condition holds."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process(settings, stop))  # type: ignore[arg-type]
        try:
            await eventually_async(is_done)
        finally:
            stop.set()


@pytest.fixture
async def jobs(world: World, topics: None) -> str:
    """The topic of jobs."""
    topic = world.settings.topic(Topic.SEND_JOBS)
    await asyncio.to_thread(create_topics, world.kafka, topic, partitions=1)
    await asyncio.to_thread(wait_for_leaders, world.settings, topic)
    return topic


@pytest.mark.usefixtures("topics")
async def test_one_trace_follows_a_message_from_its_release_to_the_read_through_kafka(
    world: World, jobs: str, spans: Spans
) -> None:
    api = Api()
    campaign = await world.start_campaign(1)
    [(recipient, phone_number)] = await world.run(
        "SELECT id, phone_number FROM campaign_recipients WHERE campaign_id = %s", campaign
    )
    world.campaign = campaign

    async def is_published() -> bool:
        return bool(await read(world, jobs))

    await until_done(scheduler.run, world.settings, is_published)
    async with api.serving():
        settings = world.settings.model_copy(
            update={"whatsapp_api_url": api.url, "whatsapp_access_token": SecretStr(TOKEN)}
        )
        publisher = AsyncPublisher(settings)
        async with sending(settings, publisher) as sender:
            await sender.intake.take(await read(world, jobs))
    await world.publish_webhook(*statuses(world, recipient), received_at=datetime.now(UTC))
    await Reconciler(settings, publisher).handle(await read(world, world.webhooks))
    await publisher.close()
    async with world.running_sinks():
        await world.wait_for_value("read", "SELECT status FROM campaign_recipients WHERE id = %s", recipient)

    assert {span.context.trace_id for span in spans.all if span.context} == {trace_id_of(recipient, 1)}
    release, claim, send = spans.one("release"), spans.one("claim"), spans.one("send")
    assert spans.parent_of(release) is None
    assert spans.parent_of(claim) is release
    assert spans.parent_of(send) is claim
    assert (values(claim)["campaigns.verdict"], values(send)["campaigns.outcome"]) == ("claimed", "accepted")
    assert {spans.parent_of(span) for span in spans.named("publish")} == {release, claim}
    assert spans.parent_of(spans.one("apply", event="accepted")) is claim
    for word in ("sent", "delivered", "read"):
        reconcile = spans.one("reconcile", event=word)
        assert spans.parent_of(reconcile) is claim
        assert spans.parent_of(spans.one("apply", event=word)) is reconcile
    for span in spans.all:
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time
        assert phone_number not in span.to_json()
        assert TOKEN not in span.to_json()

    for record in [*await read(world, jobs), *await read(world, world.events)]:
        place = read_traceparent(dict(record.headers)[HEADER])
        assert place is not None
        assert place.trace_id == trace_id_of(recipient, 1)


def statuses(world: World, recipient: RecipientId) -> list[dict[str, object]]:
    now = str(int(datetime.now(UTC).timestamp()))
    words = ("read", "sent", "delivered")
    return [world.status(recipient, word, id="wamid.0001", timestamp=now) for word in words]


@pytest.mark.usefixtures("topics")
async def test_no_record_has_a_header_while_traces_are_off(world: World, jobs: str) -> None:
    campaign = await world.start_campaign(1)
    [(recipient,)] = await world.run("SELECT id FROM campaign_recipients WHERE campaign_id = %s", campaign)

    async def is_published() -> bool:
        return bool(await read(world, jobs))

    await until_done(scheduler.run, world.settings, is_published)
    await world.publish_webhook(*statuses(world, recipient))
    publisher = AsyncPublisher(world.settings)
    await Reconciler(world.settings, publisher).handle(await read(world, world.webhooks))
    await publisher.close()
    published = [*await read(world, jobs), *await read(world, world.events)]
    assert len(published) == 4
    assert [record.headers for record in published] == [()] * 4
