"""The rows that a replay changes: counted and listed before it is applied, and noted while it is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from schemas.model import CampaignId
from tables.arrays import plain
from tables.database import Connection
from tables.shadow_template import ShadowSchema, fill, run
from tables.statements import load

_SQL = load("row_changes")


async def count_changes(schema: ShadowSchema, campaign: CampaignId | None) -> tuple[int, int]:
    """How many rows would change, and how many of them would become due for sending."""
    changed, made_due = (await run(schema, _SQL["count_changes"], {"campaign": campaign}))[0]
    return changed, made_due


async def find_changes(schema: ShadowSchema, campaign: CampaignId | None, rows_max: int) -> list[tuple[Any, ...]]:
    """The first rows that would change: id, campaign, its status, then SHOWN before and SHOWN after."""
    return await run(schema, _SQL["find_changes"], {"campaign": campaign, "rows_max": rows_max})


async def note_changes(
    schema: ShadowSchema, ids: Iterable[UUID], befores: Sequence[str], afters: Sequence[str], columns: Sequence[str]
) -> int:
    """Note changed rows: status before, status after, and the names of the columns joined by commas.

    Returns how many of the rows were not noted before.
    """
    values = {"ids": plain(ids), "befores": list(befores), "afters": list(afters), "columns": list(columns)}
    return int((await run(schema, _SQL["note_changes"], values))[0][0])


async def sum_statuses(schema: ShadowSchema) -> list[tuple[str, str, int]]:
    """The noted rows by status before and status after."""
    return [(old, new, n) for old, new, n in await run(schema, _SQL["sum_statuses"])]


async def sum_columns(schema: ShadowSchema) -> dict[str, int]:
    """In how many noted rows each column changed."""
    return dict(await run(schema, _SQL["sum_columns"]))


async def read_shown(connection: Connection, ids: Iterable[UUID]) -> list[tuple[Any, ...]]:
    """Live rows as this connection sees them: id, campaign, its status, then SHOWN."""
    return await (await connection.execute(fill(_SQL["read_shown"]), {"ids": plain(ids)})).fetchall()


async def read_written(connection: Connection, ids: Iterable[UUID], wamids: Collection[str]) -> list[tuple[Any, ...]]:
    """Those rows of these recipients and messages that this transaction has written, as `read_shown`."""
    values = {"ids": plain(ids), "wamids": list(wamids)}
    return await (await connection.execute(fill(_SQL["read_written"]), values)).fetchall()
