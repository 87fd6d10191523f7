"""Leader election: a session advisory lock on the connection that does the leader's work.

At most one process holds the lock. The lock ends with its session, and there are three ways for a session to end:

- The process exits or is killed: the server sees the closed connection and releases the lock at once.
- The process is frozen: it sends no statement, so the server ends the session after `idle_session_timeout` (10 s).
- The connection breaks: the next statement raises psycopg.Error, and the process is no longer the leader.

A leader does all its work on that connection, so a process without the lock cannot work. The lock avoids duplicate
work; it does not keep the rows correct. Each statement of a leader is safe when two leaders run it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from runtime import metrics
from runtime.health import HEALTH
from runtime.pulse import Heartbeats
from runtime.settings import Settings
from runtime.waiting import pause
from tables import locks
from tables.database import Connection, connect

STANDBY_POLL_S = 1.0
"""Pause between two attempts of a standby to take the lock."""
PING_S = 2.0
"""Pause between two keep-alive statements: well below the 10 s of `idle_session_timeout`."""


@dataclass(frozen=True, slots=True)
class Election:
    """The role that processes compete for, and the session in which the winner works."""

    component: str
    """Name of the log component."""
    application_name: str
    lock: int
    """A key of `tables.locks`."""
    session: dict[str, str]
    """Session settings. `idle_session_timeout` is required: without it a frozen leader keeps the lock."""


class Leader:
    """The leader's connection. Several tasks share it; each takes a `turn` for one piece of work."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Connection]:
        """The connection, reserved for the calling task."""
        async with self._turn:
            yield self._connection

    async def keep(self, stop: asyncio.Event) -> None:
        """Keep the session alive until `stop`, also while every other task waits for Kafka.

        Raises psycopg.Error when the connection is lost.
        """
        while not await pause(stop, PING_S):
            async with self.turn() as connection:
                await connection.execute("SELECT 1")


@asynccontextmanager
async def leadership(
    settings: Settings, election: Election, stop: asyncio.Event, beats: Heartbeats | None = None
) -> AsyncIterator[Leader | None]:
    """Wait for the lock, then lead. Yields None if `stop` came first.

    Raises psycopg.Error when the connection is lost.
    """
    connection = await connect(
        settings.database_url.get_secret_value(),
        application_name=election.application_name,
        session=election.session,
    )
    HEALTH.started()  # a standby is ready as well: it leads as soon as the lock is free
    try:
        if await _is_locked(connection, election.lock, stop, beats or Heartbeats()):
            structlog.get_logger(election.component).info("leading")
            metrics.LEADER.labels(election.application_name).set(1)
            yield Leader(connection)
        else:
            yield None
    finally:
        metrics.LEADER.labels(election.application_name).set(0)
        await connection.close()  # This releases the lock.


async def _is_locked(connection: Connection, lock: int, stop: asyncio.Event, beats: Heartbeats) -> bool:
    while not stop.is_set():
        beats.beat()
        if await locks.try_lock(connection, lock):
            return True
        await pause(stop, STANDBY_POLL_S)
    return False
