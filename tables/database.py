"""Connections to Postgres, and the table that classifies Postgres errors.

Every connection of the project is made from the text of `connection_info`, so an option in the user's address (a schema
in `options`, a time-out, a certificate) holds in every process and command. It has an application name and a statement
timeout, reaches a server that takes writes, and detects a dead peer. A server that is frozen keeps a connection alive
and cancels nothing, so the client has a limit of its own. This module runs no SQL.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

import psycopg
import psycopg_pool
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from runtime import metrics
from runtime.failures import FailureKind
from runtime.process import Transient
from runtime.settings import InvalidSettings, Settings
from tables import binary_arrays  # noqa: F401 - a connection knows the dumpers that are registered when it is made
from tables.database_parameters import wrong_parameters
from tables.schema_version import require_schema

STATEMENT_TIMEOUT_S = 30.0
"""The server cancels a statement that runs longer, unless the address or the caller has another limit."""
UNLIMITED_S = 0.0
"""For a caller whose statements may take hours. Only a limit in the address holds then."""
ANSWER_SLACK_S = 3.0
"""A healthy server cancels a statement in this time. Later, the client gives the connection up."""
CHECK_TIMEOUT_S = 2.0
"""Limit of the empty statement with which a pool checks a connection before it lends it."""
CONNECT_TIMEOUT_S = 5
_KEEPALIVE = {
    "keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 11_000,
}  # fmt: skip
"""A dead peer is detected after 11 s, also while data to it is unacknowledged."""
_UNBOUNDED = frozenset({"", "0"})
"""Values of `connect_timeout` that mean no limit to libpq."""
_POLL_S = 0.1
T = TypeVar("T")


class BoundedConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection whose statements end, also on a server that is frozen."""

    answer_limit_s: float | None = None
    """After this time without the answer to a statement, the connection breaks with psycopg.OperationalError."""
    answered_at: float = -math.inf
    """When the server answered last, by the monotonic clock."""

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _POLL_S,
        timeout: float | None = None,  # noqa: ASYNC109 - psycopg's signature
    ) -> T:
        """Wait for the server, as psycopg does, up to the limit."""
        if self.answer_limit_s is None:
            answer = await super().wait(gen, interval, timeout)
        else:
            alarm = asyncio.get_running_loop().call_later(self.answer_limit_s, _hang_up, self.pgconn.socket)
            try:
                answer = await super().wait(gen, interval, timeout)
            finally:
                alarm.cancel()
        self.answered_at = time.monotonic()
        return answer


class CommandConnection(psycopg.Connection[tuple[Any, ...]]):
    """The same for commands that block."""

    answer_limit_s: float | None = None
    """As above."""

    def wait(self, gen: PQGen[T], interval: float = _POLL_S, timeout: float | None = None) -> T:
        """Wait for the server, as psycopg does, up to the limit."""
        if self.answer_limit_s is None:
            return super().wait(gen, interval, timeout)
        alarm = threading.Timer(self.answer_limit_s, _hang_up, [self.pgconn.socket])
        alarm.daemon = True
        alarm.start()
        try:
            return super().wait(gen, interval, timeout)
        finally:
            alarm.cancel()


def _hang_up(number: int) -> None:
    """Shut the connection of this socket down. Whatever waits for the server then fails at once."""
    with suppress(OSError), socket.socket(fileno=os.dup(number)) as found:
        found.shutdown(socket.SHUT_RDWR)


Connection = psycopg.AsyncConnection[tuple[Any, ...]]
"""What functions on a connection need; `connect` and `pool` make bounded ones."""
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]
"""A statement, and its answer."""
Connecting = Callable[[], AbstractAsyncContextManager[Connection]]
"""Gives a connection for the time of a block, such as the reading of one page."""
Pool = psycopg_pool.AsyncConnectionPool[BoundedConnection]
DatabaseError = psycopg.Error
"""Every refusal of Postgres and every loss of its connection."""
LockNotAvailable = psycopg.errors.LockNotAvailable
"""A lock was not free within `lock_timeout`. A process that serves all campaigns loses only that piece of work."""


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


def connection_info(
    url: str,
    application_name: str,
    *,
    statement_timeout_s: float | None = None,
    session: dict[str, str] | None = None,
) -> str:
    """libpq's text for a connection: the user's address, and what this project adds.

    The user's own `options` follow our general limits and win over them. What the caller cannot work without,
    `statement_timeout_s` and `session`, comes last and wins. Raises InvalidSettings.
    """
    given = parts_of(url)
    limit = {} if not statement_timeout_s else {"statement_timeout": _milliseconds(statement_timeout_s)}
    general = {"statement_timeout": _milliseconds(STATEMENT_TIMEOUT_S)} if statement_timeout_s is None else {}
    required = {"timezone": "UTC", **limit, **(session or {})}
    options = (_options(general), given.pop("options", "") or _default_options(), _options(required))
    if given.get("connect_timeout", "") in _UNBOUNDED:
        given["connect_timeout"] = str(CONNECT_TIMEOUT_S)
    return make_conninfo(
        **{
            **_KEEPALIVE,
            **given,
            "options": " ".join(filter(None, options)),
            "application_name": application_name,
            "target_session_attrs": "read-write",
        }
    )


def answer_limit_s(info: str) -> float | None:
    """How long a client waits for the answer to one statement: its statement timeout and a slack; None without one."""
    found = _STATEMENT_TIMEOUT.findall(parts_of(info).get("options", ""))
    duration = _DURATION.fullmatch(found[-1]) if found else None
    if duration is None or not int(duration["number"]):
        return None
    return int(duration["number"]) * _UNIT_S[duration["unit"]] + ANSWER_SLACK_S


_STATEMENT_TIMEOUT = re.compile(r"(?:-c\s*|--)statement_timeout=(\S*)")
_DURATION = re.compile(r"(?P<number>\d+)(?P<unit>|us|ms|s|min|h|d)")
_UNIT_S = {"": 0.001, "us": 0.000_001, "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def parts_of(url: str) -> dict[str, str]:
    """The parts of an address by libpq's names. Raises InvalidSettings, whose message has nothing of the address."""
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        raise InvalidSettings(
            "CAMPAIGNS_DATABASE_URL: libpq cannot read this address: one of its parts or parameters is unknown. It has "
            "the form postgresql://user:password@host:5432/database?parameter=value"
        ) from None


def require_database_address(settings: Settings) -> None:
    """Judge the address as libpq would at the first connection. Raises InvalidSettings naming each wrong parameter."""
    url = settings.database_url.get_secret_value()
    problems = [f"CAMPAIGNS_DATABASE_URL: {problem}" for problem in wrong_parameters(parts_of(url))]
    if problems:
        raise InvalidSettings("\n".join(problems))
    connection_info(url, "campaigns-check")


def _options(session: dict[str, str]) -> str:
    escaped = {name: value.replace("\\", "\\\\").replace(" ", "\\ ") for name, value in session.items()}
    return " ".join(f"-c {name}={value}" for name, value in escaped.items())


def _default_options() -> str:
    """The options that libpq takes from its own environment if an address has none; ours would replace them."""
    defaults = {each.keyword: each.val for each in Conninfo.get_defaults()}
    return (defaults.get(b"options") or b"").decode()


def answering(settings: Settings) -> Callable[[], bool]:
    """A check for a watchdog: whether Postgres accepts a new connection. The check blocks."""
    url = settings.database_url.get_secret_value()

    def answers() -> bool:
        try:
            # No statement: only the time to connect is bounded here, and a connection proves that the server answers.
            psycopg.connect(connection_info(url, "campaigns-watchdog")).close()
        except psycopg.Error:
            return False
        return True

    return answers


async def connect(
    url: str,
    *,
    application_name: str,
    autocommit: bool = True,
    statement_timeout_s: float | None = None,
    session: dict[str, str] | None = None,
) -> Connection:
    """Open one connection. `session` adds settings of the server session.

    Raises WrongSchema if it is the first one of this process, and the database has the schema of another version.
    """
    info = connection_info(url, application_name, statement_timeout_s=statement_timeout_s, session=session)
    connection = await BoundedConnection.connect(info, autocommit=True)
    connection.answer_limit_s = answer_limit_s(info)
    try:
        await _require_schema_once(connection, url)
        await connection.set_autocommit(autocommit)
    except BaseException:
        await connection.close()
        raise
    return connection


_JUDGED: set[str] = set()
"""The databases whose schema was judged in this process, and found right."""


async def _require_schema_once(connection: Connection, url: str) -> None:
    if url not in _JUDGED:
        await require_schema(connection)
        _JUDGED.add(url)


async def require_right_schema(settings: Settings) -> None:
    """Judge the schema before a pool opens: a pool would try again for ever, and only log the reason.

    Raises WrongSchema, and Transient if Postgres does not answer.
    """
    url = settings.database_url.get_secret_value()
    try:
        connection = await connect(url, application_name="campaigns-schema")
    except psycopg.Error as error:
        if not is_transient(error):
            raise
        raise Transient(f"Postgres does not answer: {error}") from error
    await connection.close()


def connect_now(url: str, *, application_name: str, statement_timeout_s: float | None = None) -> CommandConnection:
    """Open one autocommit connection of a command that blocks."""
    info = connection_info(url, application_name, statement_timeout_s=statement_timeout_s)
    connection = CommandConnection.connect(info, autocommit=True)
    connection.answer_limit_s = answer_limit_s(info)
    return connection


def pool(
    url: str,
    *,
    application_name: str,
    size: int = 4,
    timeout_s: float = 5.0,
    statement_timeout_s: float | None = None,
    session: dict[str, str] | None = None,
    trusted_s: float = 0.0,
) -> Pool:
    """Create a pool of autocommit connections. Open it with ``async with pool(...) as connections``.

    `trusted_s`: a connection whose server answered so recently is lent without a check, which saves a round trip for
    each statement of a caller that repeats its statements anyway.
    """
    info = connection_info(url, application_name, statement_timeout_s=statement_timeout_s, session=session)
    limit_s = answer_limit_s(info)

    async def check(connection: BoundedConnection) -> None:
        if time.monotonic() - connection.answered_at < trusted_s:
            return
        connection.answer_limit_s = CHECK_TIMEOUT_S
        await connection.execute("")
        connection.answer_limit_s = limit_s

    made = psycopg_pool.AsyncConnectionPool(
        info,
        connection_class=BoundedConnection,
        min_size=1,
        max_size=size,
        timeout=timeout_s,
        open=False,
        check=check,
        kwargs={"autocommit": True},
    )
    metrics.POOLS.watch(application_name, made.pop_stats)
    return made
