"""A clock of Postgres that a test sets: every statement and every default of a column reads it.

New rows get ids in the order of their insertion, so that a walk with the same seed is the same walk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from psycopg import sql

from tables.database import Connection, connect
from tables.releases import RELEASER_SESSION
from tests.support.world import World

SEARCH_PATH = {"search_path": "the_model,pg_catalog,public"}
FUNCTIONS = ("clock_timestamp", "now", "statement_timestamp")
FUNCTION = """
    CREATE FUNCTION the_model.{name}() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('the_model.now')::timestamptz $$
"""
DEFAULTS = """
    SELECT d.adrelid::regclass::text, a.attname, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE pg_get_expr(d.adbin, d.adrelid) IN ('clock_timestamp()', 'now()', 'campaigns_uuid_v7()')
"""
IDS = (
    "CREATE SEQUENCE the_model.ids",
    """CREATE FUNCTION the_model.next_id() RETURNS uuid LANGUAGE sql VOLATILE
       AS $$ SELECT lpad(to_hex(nextval('the_model.ids')), 32, '0')::uuid $$""",
)


async def install(url: str) -> None:
    """Create the clock in a migrated database."""
    async with await connect(url, application_name="test-clock") as connection:
        await connection.execute("CREATE SCHEMA the_model")
        for name in FUNCTIONS:
            await connection.execute(FUNCTION.format(name=name).encode())
        for statement in IDS:
            await connection.execute(statement.encode())
        for table, column, known in await (await connection.execute(DEFAULTS)).fetchall():
            default = sql.Identifier("the_model", "next_id" if known == "campaigns_uuid_v7()" else "clock_timestamp")
            change = sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}()")
            await connection.execute(change.format(sql.Identifier(table), sql.Identifier(column), default))


@asynccontextmanager
async def open_timed_world(url: str, begins_at: datetime) -> AsyncIterator[World]:
    """A world without campaigns, on this database, whose clock shows `begins_at`."""
    await install(url)
    async with (
        await connect(url, application_name="test", session=SEARCH_PATH) as connection,
        await connect(url, application_name="test-releaser", session={**RELEASER_SESSION, **SEARCH_PATH}) as releaser,
    ):
        world = World(connection, url, releaser)
        await set_clock(world, begins_at)
        yield world


async def set_clock(world: World, at: datetime) -> None:
    """Set the clock of both connections of the world."""
    connections: tuple[Connection, ...] = (world.connection, await world.releaser())
    for connection in connections:
        await connection.execute("SELECT set_config('the_model.now', %s, false)", [at.isoformat()])
