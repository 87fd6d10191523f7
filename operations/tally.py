"""What a replay has changed: each row once, from what it was before the first change to what it is after the last.

Rows gather in a side table, so there may be any number; the first ten thousand are also kept to be shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from operations.row_changes import Change
from operations.shadow import ShadowTables
from tables.arrays import plain
from tables.shadow import SHOWN

CHANGES_MAX = 10_000
"""Rows that are shown one by one; the others are counted."""


@dataclass(slots=True)
class Done:
    """What a replay did."""

    rows_changed: int = 0
    columns: Counter[str] = field(default_factory=Counter)
    """In how many rows."""
    statuses: Counter[str] = field(default_factory=Counter)
    """`from → to`."""
    unclaimed: int = 0
    """Old statuses that nobody claims: another system's, already counted once."""
    changes: list[Change] = field(default_factory=list)


class Tally:
    """Is told of changes, transaction by transaction."""

    def __init__(self, side: ShadowTables, done: Done) -> None:
        self._side = side
        self._done = done
        self._shown: dict[UUID, Change] = {}

    async def add(self, changes: Sequence[Change]) -> None:
        """These are committed."""
        if not changes:
            return
        values = {
            "ids": plain(change.recipient_id for change in changes),
            "befores": [change.before["status"] for change in changes],
            "afters": [change.after["status"] for change in changes],
            "columns": [",".join(change.columns) for change in changes],
        }
        self._done.rows_changed += (await self._side.run("note_changes", values))[0][0]
        for change in changes:
            known = self._shown.get(change.recipient_id)
            if known is not None or len(self._shown) < CHANGES_MAX:
                self._shown[change.recipient_id] = change if known is None else joined(known, change)

    async def sum_up(self) -> None:
        """Write the sums."""
        self._done.statuses = Counter({f"{old} → {new}": n for old, new, n in await self._side.run("sum_statuses")})
        self._done.columns = Counter(dict(await self._side.run("sum_columns")))
        self._done.changes = list(self._shown.values())


def joined(first: Change, second: Change) -> Change:
    """Two changes of one row, as one."""
    before, after = {**second.before, **first.before}, {**first.after, **second.after}
    return replace(
        second, before=before, after=after, columns=tuple(n for n in SHOWN if n in before and before[n] != after[n])
    )
