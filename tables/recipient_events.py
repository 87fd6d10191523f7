"""Reads what happened to recipients: the claims and outcomes of their attempts, and the statuses of their messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from tables.database import Connection
from tables.statements import load

_SQL = load("recipient_events")


@dataclass(frozen=True, slots=True)
class PastEvent:
    """One event of a recipient."""

    recipient_id: UUID
    phone_number: str = field(repr=False)
    attempt: int
    event: str
    """claimed; an outcome of the ledger; or a status of the message: sent, delivered, read, replied, failed."""
    at: datetime
    whatsapp_message_id: str | None = field(repr=False)
    failure_code: int | None
    reason: str | None
    """Meta's text of a failure, or why the recipient was skipped."""


EVENT_COLUMNS = tuple(each.name for each in fields(PastEvent))


async def read_events(connection: Connection, recipients: Sequence[UUID]) -> list[PastEvent]:
    """The events of these recipients, recipient by recipient, in the order of time."""
    cursor = await connection.execute(_SQL["read_events"], {"ids": list(recipients)})
    return [PastEvent(*row) for row in await cursor.fetchall()]
