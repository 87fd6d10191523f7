"""Sums up the changes of a replay: each row once, from before its first change to after its last one.

Changes gather in a shadow table, so there may be any number. The first ten thousand are also listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from operations.row_changes import Change
from operations.shadow import ShadowTables
from tables import row_changes
from tables.shadow_template import SHOWN

CHANGES_MAX = 10_000
"""Changed rows that are listed; all are counted."""


@dataclass(slots=True)
class ReplayTotals:
    """The changes that a replay made."""

    rows_changed: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    """Changed columns, and in how many rows each."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Changed statuses as `from → to`, and in how many rows each."""
    unclaimed: int = 0
    """Old statuses of other systems, which were counted when they arrived."""
    changes: list[Change] = field(default_factory=list)


class Tally:
    """Receives changes, transaction by transaction."""

    def __init__(self, shadow: ShadowTables, done: ReplayTotals) -> None:
        self._shadow = shadow
        self._done = done
        self._shown: dict[UUID, Change] = {}

    async def add(self, changes: Sequence[Change]) -> None:
        """Add committed changes."""
        if not changes:
            return
        self._done.rows_changed += await row_changes.note_changes(
            self._shadow.schema,
            ids=[change.recipient_id for change in changes],
            befores=[change.before["status"] for change in changes],
            afters=[change.after["status"] for change in changes],
            columns=[",".join(change.columns) for change in changes],
        )
        for change in changes:
            known = self._shown.get(change.recipient_id)
            if known is not None or len(self._shown) < CHANGES_MAX:
                self._shown[change.recipient_id] = change if known is None else joined(known, change)

    async def sum_up(self) -> None:
        """Compute the sums."""
        statuses = await row_changes.sum_statuses(self._shadow.schema)
        self._done.statuses = Counter({f"{old} → {new}": n for old, new, n in statuses})
        self._done.columns = Counter(await row_changes.sum_columns(self._shadow.schema))
        self._done.changes = list(self._shown.values())


def joined(first: Change, second: Change) -> Change:
    """Join two changes of one row into one."""
    before, after = {**second.before, **first.before}, {**first.after, **second.after}
    return replace(
        second, before=before, after=after, columns=tuple(n for n in SHOWN if n in before and before[n] != after[n])
    )
