"""Campaigns with people on a real Postgres, without any process: what releasing and closing are tried on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.lifecycle import Action
from tables import campaigns, database
from tables.campaigns import NewCampaign, NewRecipient
from tables.releases import RELEASER_SESSION, Rates, ReleaseStep, release_step

NUMBER = "15550001"
FAST = Rates(mps=1000, cap_s=10)


@dataclass
class CampaignWorld:
    """One connection for the operator, one for the releaser."""

    operator: database.Connection
    releaser: database.Connection
    url: str
    phones: int = 0

    async def run(self, sql: Any, *values: object) -> list[tuple[Any, ...]]:
        cursor = await self.operator.execute(sql, values)
        return await cursor.fetchall() if cursor.description else []

    async def draft(self, people: int, limit: int | None = None, number: str = NUMBER, zone: str = "UTC") -> UUID:
        new = NewCampaign("c", "template", "en_US", limit, number, zone)
        campaign = await campaigns.create(self.operator, new)
        await self.add(campaign.id, people)
        return campaign.id

    async def active(self, people: int, limit: int | None = None, number: str = NUMBER, zone: str = "UTC") -> UUID:
        campaign = await self.draft(people, limit, number, zone)
        await self.act(campaign, Action.ACTIVATE)
        return campaign

    async def add(self, campaign: UUID, people: int) -> None:
        first = 15_550_000_000 + self.phones
        self.phones += people
        new = [NewRecipient(str(first + n)) for n in range(people)]
        await campaigns.add_recipients(self.operator, campaign, new, datetime.now(UTC))

    async def act(self, campaign: UUID, action: Action) -> None:
        await campaigns.act(self.operator, campaign, action, datetime.now(UTC))

    async def release(self, rates: Rates = FAST) -> ReleaseStep:
        return await release_step(self.releaser, rates)

    async def statuses(self, campaign: UUID) -> dict[str, int]:
        sql = "SELECT status, count(*) FROM campaign_recipients WHERE campaign_id = %s GROUP BY 1"
        return dict(await self.run(sql, campaign))

    async def used(self, campaign: UUID) -> int:
        rows = await self.run("SELECT sum(used) FROM campaign_days WHERE campaign_id = %s", campaign)
        return int(rows[0][0] or 0)


@contextlib.asynccontextmanager
async def a_campaign_world(url: str) -> AsyncIterator[CampaignWorld]:
    operator = await database.connect(url, application_name="test-operator")
    releaser = await database.connect(url, application_name="test-releaser", session=RELEASER_SESSION)
    async with operator, releaser:
        yield CampaignWorld(operator, releaser, url)
