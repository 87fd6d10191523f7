"""One leader: an advisory lock on the very connection that does the leader's work.

Who loses the connection loses the lock, and who is frozen loses both: the server ends a session that says nothing for
ten seconds. The lock spares work; it is not what keeps the rows right (each statement guards itself).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from runtime.pulse import Heartbeats
from runtime.settings import Settings
from runtime.waiting import waited
from tables import locks
from tables.database import Connection, connect
from tables.releases import RELEASER_SESSION

STANDBY_POLL_S = 1.0
PING_S = 2.0
"""Well below the ten seconds after which the server ends a silent session."""

log = structlog.get_logger("scheduler")


class Leader:
    """The leader's connection. Several tasks share it: each takes its `turn` for one piece of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Connection]:
        """The connection, for this task alone."""
        async with self._turn:
            yield self._connection

    async def keep(self, stop: asyncio.Event) -> None:
        """Say something every two seconds, also while the others wait for Kafka. A lost connection raises."""
        while not await waited(stop, PING_S):
            async with self.turn() as connection:
                await connection.execute("SELECT 1")


@asynccontextmanager
async def leadership(
    settings: Settings, stop: asyncio.Event, beats: Heartbeats | None = None
) -> AsyncIterator[Leader | None]:
    """Wait for the lock and lead. None: stopped while waiting. Raises psycopg.Error when the connection is lost."""
    url = settings.database_url.get_secret_value()
    connection = await connect(url, application_name="campaigns-scheduler", session=RELEASER_SESSION)
    try:
        if await _is_locked(connection, stop, beats or Heartbeats()):
            log.info("leading")
            yield Leader(connection)
        else:
            yield None
    finally:
        await connection.close()  # and with it the lock


async def _is_locked(connection: Connection, stop: asyncio.Event, beats: Heartbeats) -> bool:
    while not stop.is_set():
        beats.beat()
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [locks.SCHEDULER])).fetchone()
        if row is not None and row[0]:
            return True
        await waited(stop, STANDBY_POLL_S)
    return False
