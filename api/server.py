"""The API as a process. It never listens beyond loopback without a key."""

from __future__ import annotations

import asyncio

from api.access import LOOPBACK_NAMES
from api.app import make_app
from api.services import Services
from runtime.http import serve
from runtime.pulse import watched_loop
from runtime.settings import InvalidSettings, Settings
from tables import database
from topics.publisher import AsyncPublisher

POOL_SIZE = 8
SESSION = {"idle_in_transaction_session_timeout": "10s", "jit": "off"}
"""A frozen transaction releases its rows after this time."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until `stop`. Raises InvalidSettings if anyone could use the API without a key."""
    require_keys(settings)
    url = settings.database_url.get_secret_value()
    publisher = AsyncPublisher(settings)
    try:
        async with database.pool(url, application_name="campaigns-api", size=POOL_SIZE, session=SESSION) as pool:
            app = make_app(Services(settings, pool, publisher))
            async with watched_loop(settings, "api"):
                await serve(app, settings.api_host, settings.api_port, stop)
    finally:
        await publisher.close()


def require_keys(settings: Settings) -> None:
    """Raise InvalidSettings if the API would listen beyond loopback without a key, or if a key is too weak."""
    if not settings.api_keys and settings.api_host.strip("[]") not in LOOPBACK_NAMES:
        raise InvalidSettings("CAMPAIGNS_API_KEYS: is required unless CAMPAIGNS_API_HOST is loopback")
