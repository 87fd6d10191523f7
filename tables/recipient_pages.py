"""Reads the recipients of a campaign page by page, in the order of their ids.

A page is stable while rows change, and the last page is as fast as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from tables.database import Connection
from tables.statements import load

_SQL = load("recipient_pages")
FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row. The columns of the original table come first."""

    id: UUID
    campaign_id: UUID
    phone_number: str = field(repr=False)
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


COLUMNS = tuple(each.name for each in fields(Recipient))


async def read_page(
    connection: Connection,
    campaign_id: UUID,
    *,
    limit: int,
    after: UUID = FIRST_ID,
    statuses: Sequence[str] | None = None,
    person: str | None = None,
) -> list[Recipient]:
    """Read the rows after an id; only those with one of these statuses, or of this person, where given."""
    values = {
        "campaign": campaign_id,
        "after": after,
        "limit": limit,
        "statuses": list(statuses) if statuses else None,
        "person": person,
    }
    statement = "list_recipients" if person is None else "list_person"
    cursor = await connection.execute(_SQL[statement], values)
    return [Recipient(*row) for row in await cursor.fetchall()]
