"""Reads all releases a page at a time, in the order of their keys, and deletes those that can no longer be claimed.

Thousands of releases may wait for their claims. A statement that reads all of them holds up the leader, which releases
over the same connection, for longer the more there are. A page has the same size however many there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from tables.database import Connection
from tables.release_memory import FIRST_ID, LAST_ID
from tables.statements import load

_SQL = load("release_pages")


@dataclass(frozen=True, slots=True)
class ReleaseKey:
    """The key of a release, as a place in the order of all releases."""

    recipient_id: UUID
    attempt: int


FIRST_RELEASE = ReleaseKey(FIRST_ID, 0)
"""The place before all releases."""
LAST_RELEASE = ReleaseKey(LAST_ID, 2**15 - 1)
"""The place after all releases."""


@dataclass(frozen=True, slots=True)
class ReleasePage:
    """The releases after one, up to another."""

    after: ReleaseKey
    last: ReleaseKey
    partitions: tuple[int, ...] = ()
    """The partitions of `send.jobs` that hold their jobs."""

    @property
    def next(self) -> ReleaseKey:
        """Where the next page begins: at FIRST_RELEASE after the last page."""
        return FIRST_RELEASE if self.last == LAST_RELEASE else self.last


ALL_RELEASES = ReleasePage(FIRST_RELEASE, LAST_RELEASE)


async def find_page(connection: Connection, after: ReleaseKey, limit: int) -> ReleasePage:
    """The page that follows a release. `limit`: how many releases it may have."""
    values = {"after_id": after.recipient_id, "after_attempt": after.attempt, "limit": limit}
    row = await (await connection.execute(_SQL["find_page"], values)).fetchone()
    assert row is not None
    size, partitions, recipient_id, attempt = row
    return ReleasePage(after, ReleaseKey(recipient_id, attempt) if size == limit else LAST_RELEASE, tuple(partitions))


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many releases of a page were deleted, and where the next page begins: at FIRST_RELEASE after the last."""

    deleted: int
    next: ReleaseKey


async def forget_answered(
    connection: Connection, older_than_s: float, limit: int, after: ReleaseKey = FIRST_RELEASE
) -> Forgotten:
    """Delete the releases of a page that can no longer be claimed.

    Their budget is given back, unless the ledger has the attempt. `limit`: the size of the page.
    """
    values = {
        "older_than_s": older_than_s, "limit": limit, "after_id": after.recipient_id, "after_attempt": after.attempt,
    }  # fmt: skip
    row = await (await connection.execute(_SQL["forget_answered"], values)).fetchone()
    assert row is not None
    deleted, size, recipient_id, attempt = row
    return Forgotten(deleted, ReleaseKey(recipient_id, attempt) if size == limit else FIRST_RELEASE)
