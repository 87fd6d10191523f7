"""A campaign in Postgres, its topics in Kafka, and sinks that run while a test looks on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Any

from runtime.settings import Settings, read_settings
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode as encode_callback
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import CampaignId, RecipientId, Wamid
from schemas.topics import Topic
from sinks import sink
from tables.database import Connection, connect
from tests.support.campaign_rows import NUMBER_ID, add_campaign, add_recipients
from tests.support.histories import START
from tests.support.kafka_topics import create_topics, put
from tests.support.waiting import eventually_async
from topics.lag import KafkaQueries

SECRET = "callback-secret"


class EventWorld:
    """One campaign, its people, and what is said of them."""

    def __init__(self, settings: Settings, connection: Connection, campaign: CampaignId) -> None:
        self.settings, self.connection, self.campaign = settings, connection, campaign
        self.kafka = settings.kafka_bootstrap_servers
        self.events = settings.topic(Topic.RECIPIENT_EVENTS)
        self.webhooks = settings.topic(Topic.WEBHOOKS_RAW)

    @property
    def environment(self) -> dict[str, str]:
        """For commands run as processes."""
        return {
            "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "CAMPAIGNS_DATABASE_URL": self.settings.database_url.get_secret_value(),
            "CAMPAIGNS_TOPIC_PREFIX": self.settings.topic_prefix,
            "CAMPAIGNS_CALLBACK_SECRET": SECRET,
        }

    async def people(self, count: int) -> list[RecipientId]:
        return await add_recipients(self.connection, self.campaign, count)

    def event(self, person: RecipientId, kind: EventKind, minutes: float = 0, **fields: Any) -> RecipientEvent:
        at = START + timedelta(minutes=minutes)
        known: dict[str, Any] = {
            "recipient_id": person, "campaign_id": self.campaign, "attempt": 1, "wamid": Wamid(f"wamid.{person}"),
            "phone_number_id": NUMBER_ID, "occurred_at": at, "received_at": at,
        }  # fmt: skip
        return RecipientEvent(kind=kind, **(known | fields))

    async def say(self, *events: RecipientEvent) -> None:
        records = [(event.key, encode(event)) for event in events]
        await asyncio.to_thread(put, self.kafka, self.events, records)

    async def hook(self, *statuses: dict[str, Any], received_at: datetime = START + timedelta(hours=1)) -> None:
        """Put statuses into `webhooks.raw`, as one body."""
        body = Body(int(received_at.timestamp() * 1_000_000), json.dumps({"statuses": statuses}).encode())
        await asyncio.to_thread(put, self.kafka, self.webhooks, [(None, encode_bundle([body]))])

    def status(self, person: RecipientId, word: str, minutes: float = 0, **more: Any) -> dict[str, Any]:
        """A status of Meta's, with our callback data."""
        ours = encode_callback(SECRET.encode(), "default", self.campaign, person, 1)
        stamp = int((START + timedelta(minutes=minutes)).timestamp())
        known = {"id": f"wamid.{person}", "status": word, "timestamp": str(stamp), "biz_opaque_callback_data": ours}
        return known | more

    async def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return await (await self.connection.execute(statement.encode(), parameters)).fetchall()

    async def one(self, statement: str, *parameters: Any) -> Any:
        rows = await self.rows(statement, *parameters)
        return rows[0][0] if rows else None

    async def run(self, statement: str, *parameters: Any) -> None:
        await self.connection.execute(statement.encode(), parameters)

    async def applied(self, records: int) -> None:
        """Wait until the sinks have passed so many records."""

        async def holds() -> bool:
            return bool(await self.one("SELECT sum(next_offset)::int FROM sink_offsets") == records)

        await eventually_async(holds)

    async def everything(self, *, without: Iterable[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
        """Every table that a replay could change, in full; `updated_at` aside."""
        left_out = {"updated_at", "first_seen_at", *without}
        found = {}
        for table in ("campaign_recipients", "messages", "double_sends", "foreign_statuses", "sink_offsets"):
            columns = await self.rows(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = %s AND table_schema = current_schema() ORDER BY 1", table)  # fmt: skip
            names = ", ".join(row[0] for row in columns if row[0] not in left_out)
            found[table] = await self.rows(f"SELECT {names} FROM {table} ORDER BY {names}")
        found["counters"] = await self.rows(
            "SELECT campaign_id, dimension, key, sum(n) FROM (SELECT * FROM campaign_counters"
            " UNION ALL SELECT * FROM campaign_counter_deltas) AS c GROUP BY 1, 2, 3"
            " HAVING sum(n) <> 0 ORDER BY 1, 2, 3"
        )
        return found

    @contextlib.asynccontextmanager
    async def sinks(self, count: int = 1) -> AsyncIterator[None]:
        stop = asyncio.Event()
        tasks = [asyncio.create_task(sink.run(self.settings, stop)) for _ in range(count)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)


def wait_for_leaders(settings: Settings, *topics: str) -> None:
    """A topic made this moment may have no leader yet."""
    with KafkaQueries(settings, timeout_s=30) as broker:
        for topic in topics:
            broker.watermarks(topic)


@contextlib.asynccontextmanager
async def an_event_world(kafka: str, database_url: str, topic_prefix: str) -> AsyncIterator[EventWorld]:
    settings = read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
        "CAMPAIGNS_CALLBACK_SECRET": SECRET,
    })  # fmt: skip
    topics = [settings.topic(name) for name in (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS)]
    await asyncio.to_thread(create_topics, kafka, *topics)
    await asyncio.to_thread(create_topics, kafka, *(topic + ".dead" for topic in topics), partitions=1)
    await asyncio.to_thread(wait_for_leaders, settings, *topics)
    async with await connect(database_url, application_name="test") as connection:
        yield EventWorld(settings, connection, await add_campaign(connection))
