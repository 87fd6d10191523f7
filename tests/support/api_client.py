"""The API as its users see it: the ASGI app over real Postgres and Kafka, with a clock that a test may set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import make_app
from api.server import open_pools
from api.services import Services
from runtime.settings import Settings
from schemas.topics import Topic
from tables import database
from tests.support.kafka_topics import create_topics
from topics.publisher import AsyncPublisher

CAMPAIGN = {
    "name": "Test Campaign",
    "template_name": "your_template",
    "language_code": "en_US",
    "daily_send_limit": 250,
}
SIMULATOR = "http://127.0.0.1:9"
"""The API sends nothing itself. With an address of this machine, campaigns send at any time by default."""
CAMPAIGNS = "/api/marketing/campaigns"


@dataclass
class Api:
    """A client of the API, and the servers behind it."""

    http: httpx.AsyncClient
    settings: Settings
    pool: database.Pool
    lists: database.Pool
    app: FastAPI

    @property
    def services(self) -> Services:
        found = self.app.state.services
        assert isinstance(found, Services)
        return found

    async def campaign(self, **changed: Any) -> str:
        created = await self.http.post(CAMPAIGNS, json={**CAMPAIGN, **changed})
        assert created.status_code == 201, created.text
        return str(created.json()["id"])

    async def add(self, campaign: str, *people: Any) -> dict[str, Any]:
        added = await self.http.post(f"{CAMPAIGNS}/{campaign}/recipients", json={"phone_numbers": list(people)})
        assert added.status_code == 200, added.text
        return dict(added.json())

    async def act(self, campaign: str, action: str) -> int:
        return (await self.http.post(f"{CAMPAIGNS}/{campaign}/{action}")).status_code

    async def process(self) -> dict[str, int]:
        processed = await self.http.post("/api/marketing/process-daily")
        assert processed.status_code == 200, processed.text
        return dict(processed.json())

    async def rows(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(sql, values)
            return await cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def an_api(
    database_url: str, kafka: str, topic_prefix: str, keys: tuple[str, ...] = (), **changed: Any
) -> AsyncIterator[Api]:
    changed.setdefault("whatsapp_api_url", SIMULATOR)
    settings = Settings(
        kafka_bootstrap_servers=kafka,
        topic_prefix=topic_prefix,
        database_url=SecretStr(database_url),
        whatsapp_phone_number_id="15550001",
        api_keys=tuple(SecretStr(key) for key in keys),
        **changed,
    )
    publisher = AsyncPublisher(settings)
    try:
        async with open_pools(database_url, timeout_s=1.5) as (pool, lists, stops):
            app = make_app(Services(settings, pool, lists, stops, publisher, clock=lambda: datetime.now(UTC)))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
                yield Api(client, settings, pool, lists, app)
    finally:
        await publisher.close()


def make_topics(kafka: str, topic_prefix: str) -> None:
    used = (Topic.SEND_JOBS, Topic.RECIPIENT_EVENTS, Topic.CAMPAIGN_STATS)
    create_topics(kafka, *(topic_prefix + each for each in used), partitions=2)
