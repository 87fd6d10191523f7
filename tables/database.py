"""Connections to Postgres, and the table that classifies Postgres errors.

Every connection has an application name and a statement timeout, and detects a dead peer. This module runs no SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import psycopg_pool
from psycopg.conninfo import make_conninfo

from runtime.failures import FailureKind
from runtime.settings import Settings

STATEMENT_TIMEOUT_S = 30.0
"""The server cancels a statement that runs longer."""
CONNECT_TIMEOUT_S = 5
_KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 11_000,
}  # fmt: skip
"""A dead peer is detected after 11 s, also while data to it is unacknowledged."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Pool = psycopg_pool.AsyncConnectionPool[Connection]


KIND_BY_STATE: dict[str, FailureKind] = {
    "08": FailureKind.TRANSIENT,  # connection exception
    "25006": FailureKind.TRANSIENT,  # read-only: the primary has just become a standby
    "25P03": FailureKind.TRANSIENT,  # idle in transaction for too long
    "40": FailureKind.TRANSIENT,  # rollback: deadlock, serialisation
    "53": FailureKind.TRANSIENT,  # resources: disk full, memory, connections
    "55P03": FailureKind.TRANSIENT,  # lock not available in time
    "57": FailureKind.TRANSIENT,  # intervention: cancelled, timed out, shutting down
    "58": FailureKind.TRANSIENT,  # the machine: I/O error
    "22": FailureKind.INVALID,  # data exception
    "23": FailureKind.INVALID,  # constraint
    "54": FailureKind.INVALID,  # a limit of Postgres, such as the size of an index row
}
"""SQLSTATE (five characters) or its class (two) to its meaning. The longer one wins; a missing state is a bug."""


def failure_kind(error: BaseException) -> FailureKind:
    """What `error` means. Without an SQLSTATE it comes from the client, such as a lost connection."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        state = error.sqlstate
        return KIND_BY_STATE.get(state, KIND_BY_STATE.get(state[:2], FailureKind.BUG))
    if isinstance(error, psycopg.OperationalError | psycopg_pool.PoolTimeout | OSError):
        return FailureKind.TRANSIENT
    if isinstance(error, psycopg.DataError):
        return FailureKind.INVALID
    return FailureKind.BUG


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may succeed when it is repeated."""
    return failure_kind(error) is FailureKind.TRANSIENT


def is_data_error(error: BaseException) -> bool:
    """Whether the values are at fault, and no repetition can help."""
    return failure_kind(error) is FailureKind.INVALID


def _options(session: dict[str, str] | None, statement_timeout_s: float) -> str:
    settings = {"statement_timeout": f"{round(statement_timeout_s * 1000)}", "timezone": "UTC", **(session or {})}
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def _conninfo(url: str, application_name: str, session: dict[str, str] | None, statement_timeout_s: float) -> str:
    return make_conninfo(
        url,
        application_name=application_name,
        options=_options(session, statement_timeout_s),
        connect_timeout=CONNECT_TIMEOUT_S,
        **_KEEPALIVE,
    )


def answering(settings: Settings) -> Callable[[], bool]:
    """A check for a watchdog: whether Postgres accepts a new connection. The check blocks."""
    url = settings.database_url.get_secret_value()

    def answers() -> bool:
        try:
            # No statement: only the time to connect is bounded here, and a connection proves that the server answers.
            psycopg.connect(_conninfo(url, "campaigns-watchdog", None, STATEMENT_TIMEOUT_S)).close()
        except psycopg.Error:
            return False
        return True

    return answers


async def connect(
    url: str,
    *,
    application_name: str,
    autocommit: bool = True,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    session: dict[str, str] | None = None,
) -> Connection:
    """Open one connection. `session` adds settings of the server session."""
    info = _conninfo(url, application_name, session, statement_timeout_s)
    return await psycopg.AsyncConnection.connect(info, autocommit=autocommit)


def pool(
    url: str,
    *,
    application_name: str,
    size: int = 4,
    timeout_s: float = 5.0,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
    session: dict[str, str] | None = None,
) -> Pool:
    """Create a pool of autocommit connections. Open it with ``async with pool(...) as connections``."""
    return psycopg_pool.AsyncConnectionPool(
        _conninfo(url, application_name, session, statement_timeout_s),
        min_size=1,
        max_size=size,
        timeout=timeout_s,
        open=False,
        check=psycopg_pool.AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True},
    )
