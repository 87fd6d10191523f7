"""Runs a command that needs one connection to Postgres: its settings, its connection, and its exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from cli.console import run_command
from runtime.settings import Settings
from tables.database import Connection, connect

ConnectedWork = Callable[[Settings, Connection], Awaitable[int]]


def run_connected(command: str, work: ConnectedWork, *, session: dict[str, str] | None = None) -> int:
    """Run the work with a connection of the command; returns its exit code, or that of `run_command`."""

    async def run(settings: Settings) -> int:
        url = settings.database_url.get_secret_value()
        async with await connect(url, application_name=f"campaigns-{command}", session=session) as connection:
            return await work(settings, connection)

    return run_command(lambda settings: asyncio.run(run(settings)))
