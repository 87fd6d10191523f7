"""Who may be written to: what each source (keyword, platform, operator) said last. A person is subscribed while no
source says otherwise; claims and releases read these rows themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sinks.database import Connection
from sinks.statements import load

_SQL = load("subscriptions")


class Source(StrEnum):
    """Who said it."""

    KEYWORD = "keyword"
    """The person, by a word such as STOP."""
    PLATFORM = "platform"
    """The person, in WhatsApp's own settings."""
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Subscription:
    """Whether a person may be written to, and who says no."""

    out_by: tuple[Source, ...]

    @property
    def subscribed(self) -> bool:
        """No source is out."""
        return not self.out_by


async def state(
    connection: Connection, person: str, source: Source, *, subscribed: bool, occurred_at: datetime
) -> Subscription:
    """State what a source says. An older statement than the one known changes nothing."""
    said = {"person": person, "source": source.value, "subscribed": subscribed, "occurred_at": occurred_at}
    await connection.execute(_SQL["state_subscription"], said)
    return await read(connection, person)


async def read(connection: Connection, person: str) -> Subscription:
    """What all sources say together."""
    cursor = await connection.execute(_SQL["find_out_by"], {"person": person})
    return Subscription(tuple(Source(row[0]) for row in await cursor.fetchall()))
