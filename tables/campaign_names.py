"""Finds campaigns by what an operator types: an id, the end of an id, or a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.lifecycle import CampaignStatus
from tables.database import Connection
from tables.statements import load

_SQL = load("campaign_names")
SHORT_CHARACTERS = 8
"""Characters of an id in tables and sentences."""


@dataclass(frozen=True, slots=True)
class NamedCampaign:
    """A campaign as a person recognises it."""

    id: UUID
    name: str
    status: CampaignStatus
    created_at: datetime


def short_id(campaign_id: UUID) -> str:
    """The end of an id: enough to name the campaign in a command."""
    return campaign_id.hex[-SHORT_CHARACTERS:]


async def find_named(
    connection: Connection, *, campaign_id: UUID | None, name: str, ending: str, limit: int
) -> list[NamedCampaign]:
    """Campaigns with this id, this name, or an id that ends in these hexadecimal digits ('' for none)."""
    values = {"id": campaign_id, "name": name, "ending": ending, "limit": limit}
    cursor = await connection.execute(_SQL["find_named"], values)
    return [NamedCampaign(row[0], row[1], CampaignStatus(row[2]), row[3]) for row in await cursor.fetchall()]


async def find_similar(connection: Connection, part: str, limit: int) -> list[NamedCampaign]:
    """Campaigns whose name contains this text, in any case."""
    cursor = await connection.execute(_SQL["find_similar"], {"part": part, "limit": limit})
    return [NamedCampaign(row[0], row[1], CampaignStatus(row[2]), row[3]) for row in await cursor.fetchall()]
