"""Reads the statements of subscriptions page by page, in the order of their key: the person and the source."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

from schemas.sources import Source
from tables.database import Connecting, Connection
from tables.recipient_pages import WINDOW_ROWS
from tables.statements import load

_SQL = load("subscription_pages")

SubscriptionPlace = tuple[str, str]
"""The person and the source of the last statement of a page."""
FIRST_SUBSCRIPTION: SubscriptionPlace = ("", "")


@dataclass(frozen=True, slots=True)
class StatementRow:
    """The latest statement of one source about one key of a person."""

    person: str = field(repr=False)
    source: Source
    subscribed: bool
    occurred_at: datetime


STATEMENT_COLUMNS = tuple(each.name for each in fields(StatementRow))


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Statements, and the place after which the next page begins; None at the end of the list.

    A page of a filtered list may have fewer rows than its limit, also none, and not be the last.
    """

    rows: list[StatementRow]
    after: SubscriptionPlace | None


async def read_subscriptions(
    connection: Connection,
    *,
    limit: int,
    after: SubscriptionPlace = FIRST_SUBSCRIPTION,
    sources: Sequence[Source] | None = None,
    subscribed: bool | None = None,
) -> StatementPage:
    """Read the statements after a place; only those of these sources, or only opt-outs or opt-ins, where given."""
    window = max(WINDOW_ROWS, limit + 1)
    values = {
        "after_person": after[0], "after_source": after[1], "limit": limit + 1, "window": window,
        "sources": None if sources is None else [each.value for each in sources], "subscribed": subscribed,
    }  # fmt: skip
    row = await (await connection.execute(_SQL["list_subscriptions"], values)).fetchone()
    assert row is not None
    persons, found_sources, flags, times, examined, last_person, last_source = row
    rows = [
        StatementRow(person, Source(source), is_in, at)
        for person, source, is_in, at in zip(persons, found_sources, flags, times, strict=True)
    ]
    if len(rows) > limit:
        return StatementPage(rows[:limit], (rows[limit - 1].person, rows[limit - 1].source.value))
    return StatementPage(rows, (last_person, last_source) if examined == window else None)


async def subscription_pages(
    connecting: Connecting,
    limit: int,
    sources: Sequence[Source] | None = None,
    subscribed: bool | None = None,
) -> AsyncIterator[list[StatementRow]]:
    """All statements of `read_subscriptions`, page by page. A connection is held for one page only."""
    after: SubscriptionPlace | None = FIRST_SUBSCRIPTION
    while after is not None:
        async with connecting() as connection:
            page = await read_subscriptions(
                connection, limit=limit, after=after, sources=sources, subscribed=subscribed
            )
        yield page.rows
        after = page.after
