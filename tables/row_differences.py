"""Compares live rows with the rows that were recomputed in shadow tables, and replaces the facts of live rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from schemas.model import CampaignId
from tables.arrays import plain
from tables.shadow_template import ShadowSchema, run
from tables.statements import load

_SQL = load("row_differences")
_IS_RELEASED = sql.SQL(_SQL["is_released"])
"""A condition that two statements share: the attempt of a live row may be ahead of its events."""


async def count_rows(schema: ShadowSchema, campaign: CampaignId | None) -> tuple[int, int]:
    """How many live rows there are, and in how many of them only the attempt is ahead."""
    rows, ahead = (await run(schema, _SQL["count_rows"], {"campaign": campaign}, is_released=_IS_RELEASED))[0]
    return rows, ahead


async def find_differences(
    schema: ShadowSchema, campaign: CampaignId | None, until: datetime, *,
    after: UUID, last: UUID, rows_max: int, ids: Iterable[UUID] | None, is_any_ahead: bool,
) -> list[tuple[Any, ...]]:  # fmt: skip
    """The next rows, by id, that differ from their shadow rows.

    Columns: id, campaign, its status, when it was created, when the row was first claimed, SHOWN of the live row, SHOWN
    of the shadow row, and the events of the ledger that were not published `until` then.
    """
    values = {
        "campaign": campaign, "until": until, "after": after, "last": last, "rows_max": rows_max,
        "ids": None if ids is None else plain(ids), "is_any_ahead": is_any_ahead,
    }  # fmt: skip
    return await run(schema, _SQL["find_differences"], values, is_released=_IS_RELEASED)


async def hold_campaign(schema: ShadowSchema, campaign: CampaignId) -> str | None:
    """The status of a campaign, locked until the end of the transaction; None if there is no such campaign."""
    rows = await run(schema, _SQL["hold_campaign"], {"campaign": campaign})
    return rows[0][0] if rows else None


async def hold_rows(schema: ShadowSchema, ids: Iterable[UUID]) -> None:
    """Lock live rows until the end of the transaction, in the order of all writers."""
    await run(schema, _SQL["hold_rows"], {"ids": plain(ids)})


async def swap_rows(schema: ShadowSchema, ids: Iterable[UUID]) -> None:
    """Replace the facts of live rows by those of their shadow rows. An attempt is never lowered."""
    await run(schema, _SQL["swap_rows"], {"ids": plain(ids)})


async def read_live(schema: ShadowSchema, ids: Iterable[UUID]) -> list[tuple[Any, ...]]:
    """Live rows: id, campaign, its status, then SHOWN."""
    return await run(schema, _SQL["read_live"], {"ids": plain(ids)})
