"""The recipients of a campaign and their events as files, page by page, for the REST API and the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from fastapi.responses import StreamingResponse

from domain.people import PersonKey
from domain.status import Status
from domain.table_files import TableForm, table_rows, table_start
from tables.database import Connecting, Connection
from tables.recipient_events import EVENT_COLUMNS, PastEvent, read_events
from tables.recipient_pages import COLUMNS, FIRST_ID, Recipient, read_page

T = TypeVar("T")
PAGE_ROWS = 1000
CSV_TYPE = "text/csv"
CONTENT_TYPES = {TableForm.CSV: CSV_TYPE, TableForm.EXCEL: "text/csv; charset=utf-16"}
_PHONE_COLUMNS = frozenset({"phone_number", "person"})


@dataclass(frozen=True, slots=True)
class Selection:
    """Which recipients of a campaign are exported."""

    campaign_id: UUID
    statuses: Sequence[Status] | None = None
    person: PersonKey | None = None


def export_recipients(connecting: Connecting, chosen: Selection, form: TableForm) -> AsyncIterator[bytes]:
    """All rows of the selection, with a line of headers."""

    async def recipients(_: Connection, page: Sequence[Recipient]) -> Sequence[Recipient]:
        return page

    return _written(_pages(connecting, chosen, recipients), form, COLUMNS)


def export_events(connecting: Connecting, chosen: Selection, form: TableForm) -> AsyncIterator[bytes]:
    """The events of all recipients of the selection, with a line of headers."""

    async def events(connection: Connection, page: Sequence[Recipient]) -> Sequence[PastEvent]:
        return await read_events(connection, [each.id for each in page])

    return _written(_pages(connecting, chosen, events), form, EVENT_COLUMNS)


def table_answer(name: str, chosen: Selection, form: TableForm, content: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer with a table, which a browser stores as a file."""
    named = {"Content-Disposition": f'attachment; filename="{name}-{chosen.campaign_id}.csv"'}
    return StreamingResponse(content, media_type=CONTENT_TYPES[form], headers=named)


async def _written(
    pages: AsyncIterator[Sequence[object]], form: TableForm, columns: Sequence[str]
) -> AsyncIterator[bytes]:
    values = attrgetter(*columns)
    phones = frozenset(place for place, name in enumerate(columns) if name in _PHONE_COLUMNS)
    yield table_start(form, columns)
    async for rows in pages:
        yield table_rows(form, map(values, rows), phones)


async def _pages(
    connecting: Connecting, chosen: Selection, read: Callable[[Connection, Sequence[Recipient]], Awaitable[Sequence[T]]]
) -> AsyncIterator[Sequence[T]]:
    """What `read` gives for each page of the selection. The connection is free while the client takes the page."""
    statuses = [each.value for each in chosen.statuses] if chosen.statuses else None
    after: UUID | None = FIRST_ID
    while after is not None:
        async with connecting() as connection:
            page = await read_page(
                connection, chosen.campaign_id, limit=PAGE_ROWS, after=after, statuses=statuses, person=chosen.person
            )
            rows = await read(connection, page.rows) if page.rows else ()
        if rows:
            yield rows
        after = page.after
