"""Finds failed recipients by the code of their failure, in pages of bounded work."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from schemas.model import RecipientId
from tables.arrays import plain
from tables.database import Connection
from tables.statements import load

_SQL = load("failed")
PAGE_ROWS = 10_000
"""Recipients that one statement reads; far below the statement timeout."""
YOUNG_S = 600
"""Meta may report a failure and then deliver after all; a retry within ten minutes could be a second message."""
RETRIED = "retried"


@dataclass(frozen=True, slots=True)
class FailureFilter:
    """Failures to repeat: these codes, and with `unlisted` every failure whose code is not among `listed`."""

    codes: Collection[int]
    unlisted: bool
    listed: Collection[int]


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """A failed recipient, and whether it may be repeated: `retried`, or the reason against it."""

    recipient_id: RecipientId
    attempt: int
    fate: str


@dataclass(frozen=True, slots=True)
class FailedPage:
    """The failed recipients of one page. `after` is where the next page begins; None: this was the last."""

    found: tuple[FailedRecipient, ...]
    after: UUID | None


async def find(connection: Connection, campaign: UUID, wanted: FailureFilter, after: UUID) -> FailedPage:
    """One page of the recipients of a campaign that had a failure, with those that failed as wanted."""
    values = {
        "campaign": campaign,
        "after": after,
        "rows": PAGE_ROWS,
        "young_s": YOUNG_S,
        "codes": plain(wanted.codes),
        "unlisted": wanted.unlisted,
        "listed": plain(wanted.listed),
    }
    rows = await (await connection.execute(_SQL["find_failed"], values)).fetchall()
    found = tuple(FailedRecipient(RecipientId(row[1]), row[2], row[3]) for row in rows if row[1] is not None)
    return FailedPage(found, rows[0][0] if rows else None)


async def count_by_code(connection: Connection, campaign: UUID) -> list[tuple[str, int]]:
    """How many recipients failed, by the key of the failure: a code of Meta, a reason code of ours, or `unknown`."""
    cursor = await connection.execute(_SQL["count_by_code"], {"campaign": campaign})
    return [(row[0], row[1]) for row in await cursor.fetchall()]
