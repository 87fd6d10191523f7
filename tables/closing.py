"""Closes campaigns: skips the recipients of cancelled ones, completes finished ones, and reopens them.

The scheduler's leader calls it, in pages of campaigns and chunks of recipients. This module does not release or send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.lifecycle import CampaignStatus
from schemas.codec import PRODUCER
from tables.database import Connection
from tables.release_memory import FIRST_ID, START, Place
from tables.statements import load

_SQL = load("closing")

PAGE_CAMPAIGNS = 500
"""Campaigns of one status in a page. A year of campaigns is thousands, and most are over."""
DELTAS_MAX = 10_000
"""A campaign with so many deltas that are not folded is judged later: the sum of more would hold up the leader."""
UNKNOWNS_MAX = 1_000
"""So many of the newest unknown attempts of a campaign are compared with their rows."""


@dataclass(frozen=True, slots=True)
class SkipPlaces:
    """Where the next chunk of a cancelled campaign begins, for each of its searches."""

    fresh: Place = START
    tried: Place = START
    unplanned: UUID = FIRST_ID

    def after(self, rows: Sequence[Sequence[Any]]) -> SkipPlaces:
        """The places after these rows of `lock_cancelled`."""
        return SkipPlaces(
            fresh=max(((row[2], row[0]) for row in rows if row[1] == "fresh"), default=self.fresh),
            tried=max(((row[2], row[0]) for row in rows if row[1] == "tried"), default=self.tried),
            unplanned=max((row[0] for row in rows if row[1] == "unplanned"), default=self.unplanned),
        )

    def parameters(self) -> Mapping[str, Any]:
        """The places as parameters of a statement."""
        return {
            "fresh_at": self.fresh[0],
            "fresh_id": self.fresh[1],
            "tried_at": self.tried[0],
            "tried_id": self.tried[1],
            "unplanned_id": self.unplanned,
        }


@dataclass(frozen=True, slots=True)
class Chunk:
    """The result of a chunk. `places` is where the next one begins."""

    skipped: int
    is_last: bool
    places: SkipPlaces = field(default_factory=SkipPlaces)


async def list_by_status(connection: Connection, status: CampaignStatus, after: UUID = FIRST_ID) -> list[UUID]:
    """A page of the campaigns in this status, in the order of their ids."""
    values = {"status": status.value, "after": after, "limit": PAGE_CAMPAIGNS}
    return [row[0] for row in await (await connection.execute(_SQL["list_by_status"], values)).fetchall()]


async def find_cancelled(connection: Connection, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these cancelled campaigns that have recipients to skip."""
    if not ids:
        return []
    cursor = await connection.execute(_SQL["find_cancelled"], {"ids": list(ids)})
    return [row[0] for row in await cursor.fetchall()]


async def skip_chunk(connection: Connection, campaign: UUID, limit: int, places: SkipPlaces | None = None) -> Chunk:
    """Skip a chunk of recipients of a cancelled campaign, in one transaction.

    It locks the rows first and decides on their locked state. A locked recipient is left to a later round.
    """
    places = places or SkipPlaces()
    values = {"campaign": campaign, "limit": limit, **places.parameters()}
    async with connection.transaction():
        locked = await (await connection.execute(_SQL["lock_cancelled"], values)).fetchall()
        if not locked:
            return Chunk(0, is_last=True)
        skips = {"campaign": campaign, "ids": sorted({row[0] for row in locked}), "producer": PRODUCER}
        row = await (await connection.execute(_SQL["skip_cancelled"], skips)).fetchone()
    skipped = 0 if row is None else int(row[0])
    return Chunk(skipped, is_last=skipped == 0, places=places.after(locked))


async def complete(connection: Connection, ids: Sequence[UUID], unknown_s: float) -> list[UUID]:
    """Complete those of these campaigns that have no open recipient. An `unknown` one is open for `unknown_s`."""
    if not ids:
        return []
    limits = {"deltas_max": DELTAS_MAX, "unknowns_max": UNKNOWNS_MAX}
    cursor = await connection.execute(_SQL["complete_campaigns"], {"ids": list(ids), "unknown_s": unknown_s, **limits})
    return [row[0] for row in await cursor.fetchall()]


async def reopen(connection: Connection, ids: Sequence[UUID]) -> list[UUID]:
    """Reopen those of these completed campaigns in which a recipient is due again."""
    if not ids:
        return []
    cursor = await connection.execute(_SQL["reopen_campaigns"], {"ids": list(ids)})
    return [row[0] for row in await cursor.fetchall()]
