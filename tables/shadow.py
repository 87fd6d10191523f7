"""Shadow tables: copies of the live tables in a schema of their own, on which the sink's statements run.

The shadow schema comes first on the search path of its connection, so a statement without a schema name reads and
writes the shadow tables. The tables are unlogged, and their schema is dropped at the end. Its creator holds an advisory
lock of the schema's name, so a schema whose lock is free was left behind by a process that died.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

from psycopg import sql

from tables.database import Connection
from tables.recipients import COLUMNS
from tables.statements import load

_SQL = load("shadow")

MEANINGS = ("status", "next_attempt_at", "retry_count", "failure_reason")
SHOWN = (*COLUMNS, *MEANINGS)
"""The columns of a row that are compared and shown: its facts, and the columns generated from them."""
_NEVER_NULL = frozenset({"attempt", "accepted_attempts", "failed_attempts", "held_back_attempts", "held_for_quality"})
_RAISED = {
    "attempt": "raised.attempt", "status": "meant", "next_attempt_at": "meant_at",
    "failure_reason": "CASE WHEN meant = 'skipped' THEN r.skip_reason ELSE r.failure_text END",
}  # fmt: skip
"""The generated columns of a row with another attempt; the names are those of `find_differences`."""


async def reserve(connection: Connection) -> tuple[str, str]:
    """Choose a name for a shadow schema and lock it; returns the names of the live and of the shadow schema."""
    live: str = (await run(connection, "read_current_schema", ""))[0][0]
    name = f"campaigns_side_{uuid4().hex[:16]}"
    await try_name(connection, name)
    return live, name


async def create(connection: Connection, live: str, name: str) -> None:
    """Create the shadow tables, and put their schema first on the search path of this connection."""
    shadow = sql.Identifier(name)
    await run(
        connection, "create_shadow", live,
        shadow=shadow, shadow_name=sql.Literal(name), live_name=sql.Literal(live),
    )  # fmt: skip
    await run(connection, "see_shadow_first", live, shadow=shadow)


async def drop(connection: Connection, name: str) -> None:
    """Drop a shadow schema."""
    await run(connection, "drop_shadow", "", shadow=sql.Identifier(name))


async def drop_left_behind(connection: Connection) -> None:
    """Drop the shadow schemas of processes that died."""
    for (name,) in await run(connection, "list_shadows", ""):
        if await try_name(connection, name):
            await drop(connection, name)
            await run(connection, "unlock_name", "", {"name": name})


async def try_name(connection: Connection, name: str) -> bool:
    """Take the session lock of a shadow schema's name or of a replay run's id. False: another session holds it."""
    return bool((await run(connection, "lock_name", "", {"name": name}))[0][0])


async def run(
    connection: Connection, name: str, live: str, values: Mapping[str, Any] | None = None, **more: sql.Composable
) -> list[tuple[Any, ...]]:
    """Run one statement of shadow.sql. `live` is the schema of the live tables; its rows, if it returns any."""
    cursor = await connection.execute(_statement(name, live, **more), values)
    return await cursor.fetchall() if cursor.description else []


def _statement(name: str, live: str, **more: sql.Composable) -> sql.Composed:
    """A statement with the live schema and the lists of columns inserted."""
    rest = [name for name in COLUMNS if name != "attempt"]
    lists = {
        "facts": _columns(COLUMNS), "r_facts": _columns(COLUMNS, "r"), "b_facts": _columns(COLUMNS, "b"),
        "r_shown": _columns(SHOWN, "r"), "b_shown": _columns(SHOWN, "b"), "live_shown": _columns(SHOWN, "l"),
        "r_rest": _columns(rest, "r"), "live_rest": _columns(rest, "l"),
        "swap": sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.Identifier(each), sql.Identifier("r", each)) for each in rest),
        "may_be_null": _columns(name for name in COLUMNS if name not in _NEVER_NULL),
        "r_raised": sql.SQL(", ").join(
            sql.SQL(_RAISED[each]) if each in _RAISED else sql.Identifier("r", each) for each in SHOWN),
        "is_released": sql.SQL(_SQL["is_released"]),
    }  # fmt: skip
    return sql.SQL(_SQL[name]).format(live=sql.Identifier(live), **lists, **more)


def _columns(names: Iterable[str], table: str | None = None) -> sql.Composed:
    parts = [sql.Identifier(name) if table is None else sql.Identifier(table, name) for name in names]
    return sql.SQL(", ").join(parts)
