"""The Postgres server itself: its clock, its version and settings, and databases of our own on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tables.database import Connection, connect_now
from tables.statements import load

_SQL = load("server")


@dataclass(frozen=True, slots=True)
class ServerState:
    """What `campaigns check` shows of the server."""

    major_version: int
    synchronous_commit: str


@dataclass(frozen=True, slots=True)
class Standby:
    """A standby of the server. None: our account may not see it."""

    name: str
    sync_state: str
    bytes_behind: int | None
    """WAL that it has not written to its disk."""
    seconds_behind: float | None


async def read_clock(connection: Connection) -> datetime:
    """The time in Postgres. Every due time is compared with it, so a plan made with another clock would be off."""
    row = await (await connection.execute(_SQL["read_clock"])).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


async def ping(connection: Connection) -> None:
    """Run the smallest statement. Raises psycopg.Error where the server does not answer."""
    await connection.execute(_SQL["ping"])


def read_server(connection: psycopg.Connection) -> ServerState:
    """The version, and the setting that decides whether a commit survives a crash."""
    row = connection.execute(_SQL["read_synchronous_commit"]).fetchone()
    return ServerState(connection.info.server_version // 10000, row[0] if row else "unknown")


def list_standbys(connection: psycopg.Connection) -> list[Standby]:
    """The standbys that are connected to this server."""
    return [Standby(*row) for row in connection.execute(_SQL["list_standbys"])]


def read_synchronous_names(connection: psycopg.Connection) -> str:
    """The standbys for which a commit waits; empty if it waits for none."""
    row = connection.execute(_SQL["read_synchronous_standby_names"]).fetchone()
    return str(row[0]) if row else ""


def create_database(url: str, name: str) -> None:
    """Create an empty database on the server of `url`."""
    _run(url, sql.SQL(_SQL["create_database"]).format(name=sql.Identifier(name)))


def in_database(url: str, name: str) -> str:
    """The address of another database on the server of `url`, as libpq's text."""
    return make_conninfo(url, dbname=name)


def drop_database(url: str, name: str) -> None:
    """Drop a database, and end its sessions."""
    _run(url, sql.SQL(_SQL["drop_database"]).format(name=sql.Identifier(name)))


def _run(url: str, statement: sql.Composed) -> None:
    with connect_now(url, application_name="campaigns-databases") as connection:
        connection.execute(statement)
