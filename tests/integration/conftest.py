"""The world of an integration test, and shorter polls, so that a test ends as soon as its assertions hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from runtime.settings import Settings, read_settings
from tables.database import Connection
from tests.support.world import SECRET, World, open_world

POLL_S = 0.05


@pytest.fixture(scope="session", autouse=True)
def short_polls() -> Iterator[None]:
    """An idle sink notices its stop, and a scan its last record, only after a poll: half a second in production."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topics.intake.IDLE_WAIT_S", POLL_S)
        patch.setattr("topics.scan.POLL_S", POLL_S)
        yield


@pytest.fixture
def settings(kafka: str, database_url: str, topic_prefix: str) -> Settings:
    """The settings of a process of this test."""
    return read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CAMPAIGNS_DATABASE_URL": database_url,
        "CAMPAIGNS_TOPIC_PREFIX": topic_prefix,
        "CAMPAIGNS_CALLBACK_SECRET": SECRET,
    })  # fmt: skip


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    """A database with one active campaign. It does not start Kafka."""
    async with open_world(database_url) as opened:
        yield opened


@pytest.fixture
def connection(world: World) -> Connection:
    """A connection to the database of the world, for a test that needs no more of it."""
    return world.connection


@pytest.fixture
async def topics(world: World, settings: Settings) -> None:
    """Add the topics of events and webhooks to the world."""
    await world.add_topics(settings)


@pytest.fixture
async def no_shadow_tables_stay(world: World) -> AsyncIterator[None]:
    """Fail where a replay or a rebuild of the test leaves its shadow tables."""
    yield
    assert await world.run("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'campaigns_side')") == []
