"""The counters from which the cost of a campaign is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tables.campaigns import UnknownCampaign
from tables.database import Connection
from tables.statements import load

_SQL = load("costs")


@dataclass(frozen=True, slots=True)
class PriceCounters:
    """Counters at one moment."""

    as_of: datetime
    version: int
    """The version of the campaign's figures. Changes that are not folded yet are in the counters already."""
    counters: Mapping[str, int]
    """By ``dimension/key``: those of `domain.charges`, and the delivered recipients."""


async def read_prices(connection: Connection, campaign: UUID) -> PriceCounters:
    """The counters of a campaign. Raises UnknownCampaign."""
    row = await (await connection.execute(_SQL["read_prices"], {"campaign": campaign})).fetchone()
    if row is None:
        raise UnknownCampaign
    return PriceCounters(*row)
