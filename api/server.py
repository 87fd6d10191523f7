"""The API as a process. It never listens beyond loopback without a key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from api.access import LOOPBACK_NAMES
from api.app import make_app
from api.pages.sources import fed
from api.services import Services
from runtime.http import serve
from runtime.process import Transient
from runtime.pulse import watched_loop
from runtime.settings import InvalidSettings, Settings
from runtime.waiting import pause
from tables import database
from tables.database import Pool
from topics.publisher import AsyncPublisher

POOL_SIZE = 8
"""Imports hold at most half of them."""
LISTS_SIZE = 4
STOPS_SIZE = 2
LIST_TIMEOUT_S = 5.0
"""A list or a read of stats takes milliseconds. A slower one is ended, so that it holds no connection for long."""
SCHEMA_PATIENCE_S = 3.0
"""How long a start waits for Postgres to judge its schema."""
SCHEMA_PAUSE_S = 1.0
SESSION = {"idle_in_transaction_session_timeout": "10s", "jit": "off"}
"""A frozen transaction releases its rows after this time."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises InvalidSettings if anyone could use the API without a key."""
    require_keys(settings)
    url = settings.database_url.get_secret_value()
    publisher = AsyncPublisher(settings)
    try:
        async with open_pools(url) as (pool, lists, stops):
            services = Services(settings, pool, lists, stops, publisher, stopping=stop)
            async with watched_loop(settings, "api"), _right_schema(settings, stop), fed(services, stop):
                await serve(make_app(services), settings.api_host, settings.api_port, stop)
    finally:
        await publisher.close()


@asynccontextmanager
async def _right_schema(settings: Settings, stop: asyncio.Event) -> AsyncIterator[None]:
    """Judge the schema before the body runs. While Postgres is away the API starts all the same, and judges it later.

    Raises WrongSchema in a group.
    """
    async with asyncio.TaskGroup() as tasks:
        judging = tasks.create_task(_judge_schema(settings, stop))
        await asyncio.wait({judging}, timeout=SCHEMA_PATIENCE_S)
        yield
        judging.cancel()


async def _judge_schema(settings: Settings, stop: asyncio.Event) -> None:
    while True:
        try:
            return await database.require_right_schema(settings)
        except Transient:
            if await pause(stop, SCHEMA_PAUSE_S):
                return None


@asynccontextmanager
async def open_pools(url: str, timeout_s: float = 5.0) -> AsyncIterator[tuple[Pool, Pool, Pool]]:
    """The pools of writes, lists and stops. A request waits `timeout_s` for a connection, and then gets 503."""
    make = partial(database.pool, url, timeout_s=timeout_s, session=SESSION)
    async with (
        make(application_name="campaigns-api", size=POOL_SIZE) as pool,
        make(application_name="campaigns-api-lists", size=LISTS_SIZE, statement_timeout_s=LIST_TIMEOUT_S) as lists,
        make(application_name="campaigns-api-stops", size=STOPS_SIZE) as stops,
    ):
        yield pool, lists, stops


def require_keys(settings: Settings) -> None:
    """Raise InvalidSettings if the API would listen beyond loopback without a key, or if a key is too weak."""
    if not settings.api_keys and settings.api_host.strip("[]") not in LOOPBACK_NAMES:
        raise InvalidSettings("CAMPAIGNS_API_KEYS: is required unless CAMPAIGNS_API_HOST is loopback")
