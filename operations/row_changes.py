"""One row before and after: which columns differ, and whether the row would be sent to again because of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.events import RecipientEvent
from tables import shadow
from tables.arrays import plain
from tables.database import Connection
from tables.shadow import SHOWN

OPEN_CAMPAIGNS = frozenset({"active", "paused", "completed"})
"""In these a row that is due is sent to, or will be: a completed one opens again, a paused one is resumed."""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A recipient's facts and what they mean, and the status of the campaign."""

    id: UUID
    campaign_id: UUID
    campaign_status: str
    shown: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A row that differs; `before` and `after` hold the differing columns, and always the status."""

    recipient_id: UUID
    campaign_id: UUID
    campaign_status: str
    columns: tuple[str, ...]
    before: Mapping[str, Any] = field(repr=False)
    after: Mapping[str, Any] = field(repr=False)
    makes_due: bool


def change_of(before: ShownRow, after: ShownRow) -> Change | None:
    """What differs; None: nothing."""
    columns = tuple(name for name in SHOWN if before.shown[name] != after.shown[name])
    if not columns:
        return None
    told = {"status", *columns}
    return Change(
        after.id, after.campaign_id, after.campaign_status, columns,
        {name: before.shown[name] for name in SHOWN if name in told},
        {name: after.shown[name] for name in SHOWN if name in told},
        after.campaign_status in OPEN_CAMPAIGNS
        and is_sooner(before.shown["next_attempt_at"], after.shown["next_attempt_at"]),
    )  # fmt: skip


def is_sooner(before: datetime | None, after: datetime | None) -> bool:
    """Whether a row became due, or due earlier."""
    return after is not None and (before is None or after < before)


def rows_shown(found: Iterable[Sequence[Any]]) -> list[Change]:
    """Changes from rows of (id, campaign, its status, columns before, columns after)."""
    changes = []
    for id_, campaign, status, *values in found:
        before, after = values[: len(SHOWN)], values[len(SHOWN) :]
        pair = [ShownRow(id_, campaign, status, dict(zip(SHOWN, side, strict=True))) for side in (before, after)]
        change = change_of(*pair)
        assert change is not None, "only rows that differ were asked for"
        changes.append(change)
    return changes


async def read_rows(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, ShownRow]:
    """Live rows as this connection sees them."""
    return await _read(connection, "read_shown", {"ids": plain(ids)})


async def read_written(connection: Connection, events: Sequence[RecipientEvent]) -> dict[UUID, ShownRow]:
    """Of the recipients of these events the rows that this transaction has written."""
    ids = {event.recipient_id for event in events if event.recipient_id is not None}
    wamids = sorted({event.wamid for event in events if event.wamid is not None})
    return await _read(connection, "read_written", {"ids": plain(sorted(ids)), "wamids": wamids})


async def _read(connection: Connection, name: str, values: Mapping[str, Any]) -> dict[UUID, ShownRow]:
    rows = await shadow.run(connection, name, "", values)
    return {row[0]: ShownRow(row[0], row[1], row[2], dict(zip(SHOWN, row[3:], strict=True))) for row in rows}
