"""Takes over rows of another table of this database: reads them in the order of their keys, and adds recipients.

The other table is only read. Names of tables and columns come from an operator, so they are quoted by psycopg and
looked up in the catalog first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import orjson
from psycopg import sql

from domain.adoption import ATTEMPT, COLUMNS, MOMENTS, REQUIRED, AdoptedRow
from domain.frequency import ATTEMPTS_KEPT_DAYS
from tables.database import Connection
from tables.statements import load

_SQL = load("adoptions")
_TIME_TYPES = ("timestamp", "date")
_MOMENT: LiteralString = (
    "CASE WHEN {0} IS NOT NULL THEN"
    " least(greatest({0}::timestamp with time zone, '1970-01-01'), '9000-01-01') END AS {1}"
)
"""A time without a zone is in UTC, the zone of our connections. Infinite and very old times come within a range."""


class UnusableTable(ValueError):
    """The table cannot be adopted as it is. The text says what is missing."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Another table: its name, and the column of it for each of COLUMNS that it has."""

    name: str
    columns: Mapping[str, str]
    key_type: str
    """The type of the key, as the catalog names it."""
    only: tuple[str, str] | None = None
    """A column and the value that the rows must have in it, such as the campaign."""

    @property
    def text(self) -> str:
        """The table and its filter, as an adoption remembers them."""
        return self.name if self.only is None else f"{self.name} where {self.only[0]} = {self.only[1]}"


@dataclass(frozen=True, slots=True)
class AdoptionProgress:
    """How far an adoption has come."""

    source: str
    done_through: str | None
    adopted: int
    refused: int
    ended_at: datetime | None


async def find_table(
    connection: Connection, name: str, mapping: Mapping[str, str], only: tuple[str, str] | None
) -> SourceTable:
    """Find a table and its columns. `mapping`: columns with other names than in COLUMNS. Raises UnusableTable."""
    rows = await (await connection.execute(_SQL["find_columns"], {"table": name})).fetchall()
    types: dict[str, str] = dict(rows)
    if not types:
        raise UnusableTable(f"There is no table {name}. Write it with its schema, as original.campaign_recipients.")
    if unknown := sorted(set(mapping) - set(COLUMNS)):
        raise UnusableTable(f"No column {unknown[0]} is taken over. Those that are: {', '.join(COLUMNS)}.")
    named = {column: mapping.get(column, column) for column in COLUMNS}
    wanted = [*mapping.values(), *(named[column] for column in sorted(REQUIRED)), *([] if only is None else [only[0]])]
    if missing := [column for column in wanted if column not in types]:
        raise UnusableTable(f"The table {name} has no column {missing[0]}. It has {', '.join(types)}.")
    columns = {ours: theirs for ours, theirs in named.items() if theirs in types}
    for ours in sorted(MOMENTS & columns.keys()):
        if not types[columns[ours]].startswith(_TIME_TYPES):
            kind = types[columns[ours]]
            detail = f"The column {columns[ours]} of {name} is {kind}, not a time."
            raise UnusableTable(f"{detail} Make a view that casts it to timestamptz, and adopt the view.")
    return SourceTable(name, columns, types[named["id"]], only)


async def read_batch(connection: Connection, table: SourceTable, after: str | None, limit: int) -> list[dict[str, Any]]:
    """The next rows in the order of their keys, by the names of COLUMNS, and `key`: the key as a text."""
    key = sql.Identifier(table.columns["id"])
    conditions = []
    if after is not None:
        conditions.append(sql.SQL("{} > CAST(%(after)s AS {})").format(key, sql.SQL(_type(table.key_type))))
    if table.only is not None:
        conditions.append(sql.SQL("{}::text = %(only)s").format(sql.Identifier(table.only[0])))
    query = sql.SQL("SELECT {}, {}::text AS key FROM {} {} ORDER BY {} LIMIT %(limit)s").format(
        sql.SQL(", ").join(
            sql.SQL(_MOMENT if ours in MOMENTS else "{} AS {}").format(sql.Identifier(theirs), sql.Identifier(ours))
            for ours, theirs in table.columns.items()
        ),
        key,
        sql.SQL(".").join(map(sql.Identifier, table.name.split("."))),
        sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions)) if conditions else sql.SQL(""),
        key,
    )
    values = {"after": after, "only": None if table.only is None else table.only[1], "limit": limit}
    cursor = await connection.execute(query, values)
    names = [*table.columns, "key"]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def begin(connection: Connection, campaign_id: UUID, source: str) -> AdoptionProgress:
    """Begin an adoption into a campaign, or find how far the one that began has come."""
    values = {"campaign": campaign_id, "source": source}
    row = await (await connection.execute(_SQL["begin_adoption"], values)).fetchone()
    assert row is not None
    return AdoptionProgress(*row)


async def add_rows(
    connection: Connection, campaign_id: UUID, rows: Sequence[AdoptedRow], earliest_at: datetime
) -> frozenset[UUID]:
    """Add rows without facts, in a transaction of the caller; returns the ids that the campaign has now.

    A row whose number, person or id exists already elsewhere is not among them. The same call again adds nothing.
    """
    await connection.execute(_SQL["make_older"], {"campaign": campaign_id, "at": earliest_at})
    ids = [each.id for each in rows]
    await connection.execute(_SQL["add_rows"], {
        "campaign": campaign_id,
        "ids": ids,
        "phone_numbers": [each.phone_number for each in rows],
        "template_parameters": [
            None if each.template_parameters is None else orjson.dumps(each.template_parameters).decode()
            for each in rows
        ],
        "max_retries": [each.max_retries for each in rows],
        "created_at": [each.created_at for each in rows],
    })  # fmt: skip
    cursor = await connection.execute(_SQL["find_own"], {"campaign": campaign_id, "ids": ids})
    return frozenset(row[0] for row in await cursor.fetchall())


async def note_sends(connection: Connection, campaign_id: UUID, rows: Sequence[AdoptedRow]) -> None:
    """Count the messages of rows towards the frequency cap, in the transaction that adds the rows and their facts.

    A message counts from the time that the row states, as long as the facts say that it was accepted and did not fail.
    The same call again adds nothing.
    """
    sent = [(each.id, each.sent_at) for each in rows if each.sent_at is not None]
    await connection.execute(_SQL["note_sends"], {
        "campaign": campaign_id,
        "ids": [recipient for recipient, _ in sent],
        "sent_at": [at for _, at in sent],
        "attempt": ATTEMPT,
        "days": ATTEMPTS_KEPT_DAYS,
    })  # fmt: skip


async def advance(connection: Connection, campaign_id: UUID, key: str, adopted: int, refused: int) -> None:
    """Note that all rows up to this key are done."""
    values = {"campaign": campaign_id, "key": key, "adopted": adopted, "refused": refused}
    await connection.execute(_SQL["advance_adoption"], values)


async def end(connection: Connection, campaign_id: UUID) -> None:
    """Note that the whole table is done."""
    await connection.execute(_SQL["end_adoption"], {"campaign": campaign_id})


def _type(name: str) -> Any:
    """The name of a type, as the catalog wrote it. It is no text of an operator."""
    return name
