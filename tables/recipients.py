"""Merges facts into `campaign_recipients`, and reads them: one set-based statement per batch.

The statement merges in the database, so callers do not read the row first. They fold their events in memory to one row
of facts per recipient. Callers own the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from domain.facts import Acceptance, Facts, FailedAttempt, Skip, Wait
from domain.usual_fold import UsualFacts
from schemas.events import RetryClass
from schemas.model import RecipientId
from tables import binary_arrays as binary
from tables.arrays import plain
from tables.database import Connection, Cursor
from tables.fact_columns import COLUMNS, merge_parameters
from tables.statements import load

SQL = load("recipients")

MERGE_SESSION = {
    # The merge joins an array with its rows. Only a nested loop locks the rows in the order of ids, and it is fastest.
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
    # A sink that freezes in a transaction loses its locks after 15 s.
    "idle_in_transaction_session_timeout": "15000",
}
"""Session settings of every connection that runs `merge_recipients`."""


_NUMBER = attrgetter("int")
"""Sort key of ids: the order of Postgres, and faster than the comparison of UUID."""


async def merge_facts(
    connection: Connection, learned: Mapping[RecipientId, Facts], usual: Iterable[UsualFacts] = ()
) -> int:
    """Merge the facts of each recipient into its row; returns how many rows changed. Ids without a row are ignored.

    `usual`: the facts of further recipients. No recipient may be in both.
    """
    others = list(usual)
    if not learned and not others:
        return 0
    return (await merge_columns(connection, merge_parameters(learned, others))).rowcount


async def merge_columns(connection: Connection, columns: Mapping[str, binary.BinaryArray]) -> Cursor:
    """As `merge_facts`, of `merge_parameters`. The number of changed rows is that of its answer."""
    return await connection.execute(SQL["merge_recipients"], columns, prepare=True)


def dated_columns(learned: Sequence[UsualFacts]) -> dict[str, binary.BinaryArray]:
    """The columns that `find_refused` needs."""
    return {
        "id": binary.uuids([each.id for each in learned]),
        "sent_at": binary.times([each.sent_at for each in learned]),
    }


def usual_columns(learned: Sequence[UsualFacts]) -> dict[str, binary.BinaryArray]:
    """The facts of usual events, sorted by id, as the columns that the two statements below need.

    The earliest event of a recipient nearly always belongs to its newest attempt. Then `accepted_at` is left out.
    """
    sent_at, accepted_at = [each.sent_at for each in learned], [each.accepted_at for each in learned]
    return {
        "id": binary.uuids([each.id for each in learned]),
        "attempt": binary.smallints([each.attempt for each in learned]),
        "sent_at": binary.times(sent_at),
        "delivered_at": binary.times([each.delivered_at for each in learned]),
        "read_at": binary.times([each.read_at for each in learned]),
        "accepted_attempts": binary.bigints([each.accepted_attempts for each in learned]),
        "accepted_at": binary.times([] if accepted_at == sent_at else accepted_at),
        "whatsapp_message_id": binary.texts([each.wamid for each in learned]),
        "held_for_quality": binary.booleans([each.held_for_quality for each in learned]),
        "price": binary.words([each.price or None for each in learned]),
    }


async def merge_usual(connection: Connection, columns: Mapping[str, binary.BinaryArray]) -> Cursor:
    """Merge the facts of usual events, as `merge_columns` does."""
    return await connection.execute(SQL["merge_usual"], columns, prepare=True)


async def find_refused(
    connection: Connection, columns: Mapping[str, binary.BinaryArray], before_max: timedelta
) -> list[int]:
    """The positions whose recipient has no row, or whose facts are more than `before_max` older than its campaign."""
    values = {"id": columns["id"], "earliest_at": columns["sent_at"], "before_max": before_max}
    cursor = await connection.execute(SQL["find_refused"], values, prepare=True, binary=True)
    return [line - 1 for (line,) in await cursor.fetchall()]


async def find_recipients(connection: Connection, ids: Iterable[RecipientId]) -> dict[RecipientId, datetime]:
    """The creation of the campaign of each recipient that has a row."""
    values = {"ids": plain(sorted(ids, key=_NUMBER))}
    cursor = await connection.execute(SQL["find_recipients"], values, prepare=True, binary=True)
    return dict(await cursor.fetchall())


async def read_facts(connection: Connection, ids: Iterable[RecipientId]) -> dict[RecipientId, Facts]:
    """The facts of those of these recipients that have a row."""
    cursor = await connection.execute(SQL["read_facts"], {"ids": plain(sorted(ids, key=_NUMBER))})
    return {row[0]: facts_of_row(dict(zip(COLUMNS, row[1:], strict=True))) for row in await cursor.fetchall()}


def facts_of_row(row: Mapping[str, Any]) -> Facts:
    """The facts that a row holds, by column name."""
    wamid = row["whatsapp_message_id"]
    return Facts(
        attempt=row["attempt"], sent_at=row["sent_at"], delivered_at=row["delivered_at"], read_at=row["read_at"],
        replied_at=row["replied_at"], accepted_attempts=row["accepted_attempts"],
        acceptance=None if row["accepted_attempt"] is None
        else Acceptance(row["accepted_attempt"], row["accepted_at"], wamid),
        failed_attempts=row["failed_attempts"], held_back_attempts=row["held_back_attempts"],
        failure=None if row["failed_attempt"] is None else FailedAttempt(
            row["failed_attempt"], row["failed_at"], row["failure_code"], row["failure_text"],
            RetryClass(row["failure_class"]), row["failure_backoff_s"]),
        deferred=_wait(row["deferred_attempt"], row["deferred_until"]),
        expired=_wait(row["expired_attempt"], row["expired_until"]),
        unknown_attempt=row["unknown_attempt"] or 0,
        skipped=None if row["skipped_attempt"] is None else Skip(row["skipped_attempt"], row["skip_reason"]),
        retry_attempt=row["retry_attempt"] or 0, held_for_quality=row["held_for_quality"],
        price=row["price"] or "",
    )  # fmt: skip


def _wait(attempt: int | None, until: datetime | None) -> Wait | None:
    return None if attempt is None or until is None else Wait(attempt, until)
