"""A row before and after a change: the columns that differ, and whether the change makes the recipient due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schemas.events import RecipientEvent
from tables import row_changes
from tables.database import Connection
from tables.shadow_template import SHOWN

OPEN_CAMPAIGNS = frozenset({"active", "paused", "completed"})
"""In these campaigns a due row is sent to, or will be: a completed one reopens, a paused one may be resumed."""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """The facts and derived values of a recipient, and the status of its campaign."""

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
    """The difference between two rows, or None if they are equal."""
    columns = tuple(name for name in SHOWN if before.shown[name] != after.shown[name])
    if not columns:
        return None
    shown = {"status", *columns}
    return Change(
        after.id, after.campaign_id, after.campaign_status, columns,
        {name: before.shown[name] for name in SHOWN if name in shown},
        {name: after.shown[name] for name in SHOWN if name in shown},
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
        pair = [ShownRow(id_, campaign, status, dict(zip(SHOWN, part, strict=True))) for part in (before, after)]
        change = change_of(*pair)
        assert change is not None, "the query returns only rows that differ"
        changes.append(change)
    return changes


async def read_rows(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, ShownRow]:
    """Live rows as this connection sees them."""
    return _by_id(await row_changes.read_shown(connection, ids))


async def read_written(connection: Connection, events: Sequence[RecipientEvent]) -> dict[UUID, ShownRow]:
    """The rows of the recipients of these events that this transaction has written."""
    ids = {event.recipient_id for event in events if event.recipient_id is not None}
    wamids = sorted({event.wamid for event in events if event.wamid is not None})
    return _by_id(await row_changes.read_written(connection, sorted(ids), wamids))


def _by_id(rows: Iterable[Sequence[Any]]) -> dict[UUID, ShownRow]:
    return {row[0]: ShownRow(row[0], row[1], row[2], dict(zip(SHOWN, row[3:], strict=True))) for row in rows}
