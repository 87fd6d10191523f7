"""Fills in the words in braces of statements that use shadow tables and live tables together.

The words are:

- `{live}`: the schema of the live tables.
- `{facts}`: the columns that hold facts; `{r_facts}` and `{b_facts}` are those of the tables `r` and `b`.
- `{live_rest}` and `{r_rest}`: the facts of `l` and `r` except `attempt`, which is compared by rules of its own.
- `{live_shown}`, `{r_shown}` and `{b_shown}`: the columns of SHOWN, of the tables `l`, `r` and `b`.
- `{r_raised}`: the columns of SHOWN as they would be if `r` had the attempt `raised.attempt`.
- `{may_be_null}`: the facts that are null until they are known.
- `{swap}`: the assignment of the facts of `r` except `attempt`, for an UPDATE.

In the statements `l` is a live row, `r` its shadow row, and `b` the copy of the live row before any event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from tables.database import Connection
from tables.fact_columns import COLUMNS

MEANINGS = ("status", "next_attempt_at", "retry_count", "failure_reason")
SHOWN = (*COLUMNS, *MEANINGS)
"""The columns of a row that are compared and shown: its facts, and the columns generated from them."""
_NEVER_NULL = frozenset({"attempt", "accepted_attempts", "failed_attempts", "held_back_attempts", "held_for_quality"})
_RAISED = {
    "attempt": "raised.attempt", "status": "meant", "next_attempt_at": "meant_at",
    "failure_reason": "CASE WHEN meant = 'skipped' THEN r.skip_reason ELSE r.failure_text END",
}  # fmt: skip
"""The generated columns of a row with another attempt; the names are those of `find_differences`."""


@dataclass(frozen=True, slots=True)
class ShadowSchema:
    """A connection on which the shadow tables come first, and the schema of the live tables."""

    connection: Connection
    live: str


async def run(
    schema: ShadowSchema, statement: LiteralString, values: Mapping[str, Any] | None = None, **more: sql.Composable
) -> list[tuple[Any, ...]]:
    """Run one statement, and return its rows. `more` are further words in braces."""
    cursor = await schema.connection.execute(fill(statement, schema.live, **more), values)
    return await cursor.fetchall() if cursor.description else []


def fill(statement: LiteralString, live: str = "", **more: sql.Composable) -> sql.Composed:
    """The statement with the words in braces filled in."""
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
    }  # fmt: skip
    return sql.SQL(statement).format(live=sql.Identifier(live), **lists, **more)


def _columns(names: Iterable[str], table: str | None = None) -> sql.Composed:
    parts = [sql.Identifier(name) if table is None else sql.Identifier(table, name) for name in names]
    return sql.SQL(", ").join(parts)
