"""Reads the recipients of a campaign page by page, in the order of their ids.

A page is stable while rows change, and the last page is as fast as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.recipient_search import RecipientSearch
from tables.database import Connection
from tables.statements import load

_SQL = load("recipient_pages")
FIRST_ID = UUID(int=0)
WINDOW_ROWS = 20_000
"""Recipients that one page of a filtered list examines at most: about 30 ms."""
_CHOICE_BY_STATUS = {("failed",): "choose_failed", ("skipped",): "choose_skipped", ("unknown",): "choose_unknown"}


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row. The columns of the original table come first."""

    id: UUID
    campaign_id: UUID
    phone_number: str | None = field(repr=False)
    status: str
    whatsapp_message_id: str | None = field(repr=False)
    scheduled_send_date: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    failed_at: datetime | None
    failure_reason: str | None
    retry_count: int
    max_retries: int
    template_parameters: Any = field(repr=False)
    created_at: datetime
    updated_at: datetime
    attempt: int
    failure_code: int | None
    next_attempt_at: datetime | None
    person: str = field(repr=False)
    user_id: str | None = field(repr=False)


COLUMNS = tuple(each.name for each in fields(Recipient))


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the id after which the next page begins. `after` is None at the end of the list.

    A page of a filtered list may have fewer rows than its limit, also none, and not be the last.
    """

    rows: list[Recipient]
    after: UUID | None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of a search: the first rows, and whether there may be more."""

    rows: list[Recipient]
    is_cut: bool = False


async def read_page(
    connection: Connection,
    campaign_id: UUID,
    *,
    limit: int,
    after: UUID = FIRST_ID,
    statuses: Sequence[str] | None = None,
    person: str | None = None,
) -> Page:
    """Read the rows after an id; only those with one of these statuses, or of this person, where given."""
    values = {"campaign": campaign_id, "after": after, "limit": limit + 1}
    if person is not None:
        of_person = {"person": person, "statuses": list(statuses) if statuses else None}
        rows = await _read(connection, "list_person", {**values, **of_person})
    elif statuses:
        return await _read_filtered(connection, {**values, "statuses": list(statuses)}, limit)
    else:
        rows = await _read(connection, "list_recipients", values)
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


async def search(
    connection: Connection,
    campaign_id: UUID,
    search: RecipientSearch,
    limit: int,
    statuses: Sequence[str] | None = None,
) -> SearchResult:
    """The recipients that a search means. The person with the whole number goes before numbers that begin with it."""
    wanted = list(statuses) if statuses else None
    if search.recipient_id is not None:
        one = await read_one(connection, campaign_id, search.recipient_id)
        return SearchResult([] if one is None or (wanted and one.status not in wanted) else [one])
    if search.person is not None:
        page = await read_page(connection, campaign_id, limit=limit, person=search.person, statuses=wanted)
        if page.rows:
            return SearchResult(page.rows, page.after is not None)
    for statement, texts in (("find_by_number", search.numbers), ("find_by_user", search.user_ids)):
        if texts is not None:
            window = max(WINDOW_ROWS, limit + 1) if wanted else limit + 1
            values = {"campaign": campaign_id, "statuses": wanted, "window": window, "limit": limit + 1}
            cursor = await connection.execute(_SQL[statement], {**values, "start": texts.start, "end": texts.end})
            row = await cursor.fetchone()
            assert row is not None
            ids, is_cut = row
            return SearchResult(
                await _read(connection, "read_recipients", {"ids": ids[:limit]}), is_cut or len(ids) > limit
            )
    return SearchResult([])


async def read_one(connection: Connection, campaign_id: UUID, recipient_id: UUID) -> Recipient | None:
    """One recipient of a campaign, or None."""
    rows = await _read(connection, "read_recipients", {"ids": [recipient_id]})
    return rows[0] if rows and rows[0].campaign_id == campaign_id else None


async def _read_filtered(connection: Connection, values: dict[str, Any], limit: int) -> Page:
    statement = _CHOICE_BY_STATUS.get(tuple(values["statuses"]), "choose_any")
    window = max(WINDOW_ROWS, limit + 1)
    row = await (await connection.execute(_SQL[statement], {**values, "window": window})).fetchone()
    assert row is not None
    ids, last = row
    rows = await _read(connection, "read_recipients", {"ids": ids[:limit]})
    if len(ids) > limit:
        return Page(rows, ids[limit - 1])
    return Page(rows, last)


async def _read(connection: Connection, statement: str, values: dict[str, Any]) -> list[Recipient]:
    return [Recipient(*row) for row in await (await connection.execute(_SQL[statement], values)).fetchall()]
