"""The Postgres connection of a sink. It is opened when it is needed, and again after it was closed."""

from __future__ import annotations

import select
from collections.abc import Mapping

from runtime.settings import Settings
from tables.database import Connection, connect

LOCK_TIMEOUT = "1s"
"""How long a batch waits for a row that another session has locked. Then the events of such rows wait in a table."""


class SinkConnection:
    """One connection at a time. `session`: settings of the server session, beside the limit on waiting for locks."""

    def __init__(self, settings: Settings, session: Mapping[str, str] | None = None) -> None:
        self._url = settings.database_url
        self._session = {**(session or {}), "lock_timeout": LOCK_TIMEOUT}
        self._connection: Connection | None = None

    async def get(self) -> Connection:
        """The open connection. Raises psycopg.Error if Postgres refuses another one."""
        if self._connection is None or self._connection.closed:
            url = self._url.get_secret_value()
            self._connection = await connect(url, application_name="campaigns-sink", session=self._session)
        return self._connection

    def has_answer(self) -> bool:
        """Whether Postgres has sent something that is not read yet. It takes 1 µs."""
        if self._connection is None or self._connection.closed:
            return False
        socket = select.poll()
        socket.register(self._connection.pgconn.socket, select.POLLIN)
        return bool(socket.poll(0))

    async def close(self) -> None:
        """Close the connection. The next call of `get` opens another one."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
