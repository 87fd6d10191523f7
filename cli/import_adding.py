"""The connections with which `campaigns import` adds chunks, two at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from api.additions import Judged, add
from api.imports import AddJudged
from api.recipient_answers import RecipientsAdded
from runtime.settings import Settings
from tables.database import Connecting, Connection, connect
from tables.turns import Turn


@asynccontextmanager
async def adding(connection: Connection, campaign_id: UUID, connecting: Connecting | None) -> AsyncIterator[AddJudged]:
    """Yield the function that adds a chunk. With `connecting`, there is a second connection."""
    free: asyncio.Queue[Connection] = asyncio.Queue()

    async def add_judged(judged: Judged, turn: Turn) -> RecipientsAdded:
        taken = await free.get()
        try:
            return await add(taken, campaign_id, judged, turn)
        finally:
            free.put_nowait(taken)

    async with AsyncExitStack() as ending:
        free.put_nowait(connection)
        if connecting is not None:
            free.put_nowait(await ending.enter_async_context(connecting()))
        yield add_judged


@asynccontextmanager
async def another_connection(settings: Settings) -> AsyncIterator[Connection]:
    """A connection of the command beside its first one."""
    url = settings.database_url.get_secret_value()
    async with await connect(url, application_name="campaigns-import") as connection:
        yield connection
