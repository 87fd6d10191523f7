"""A campaign and its recipients as rows, for tests that need them there."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from schemas.model import CampaignId, RecipientId
from tables.database import Connection
from tests.support.histories import START

NUMBER_ID = "106540352242922"


async def add_campaign(
    connection: Connection, *, created_at: datetime = START - timedelta(hours=1), number_id: str = NUMBER_ID
) -> CampaignId:
    """An active campaign."""
    campaign = CampaignId(uuid4())
    await connection.execute(
        "INSERT INTO marketing_campaigns (id, name, template_name, language_code, phone_number_id, status, created_at)"
        " VALUES (%s, 'Test Campaign', 'your_template', 'en_US', %s, 'active', %s)",
        [campaign, number_id, created_at],
    )
    return campaign


async def add_recipients(connection: Connection, campaign: CampaignId, count: int) -> list[RecipientId]:
    """Pending recipients with random ids, in the order of their ids."""
    cursor = await connection.execute(
        "INSERT INTO campaign_recipients (id, campaign_id, phone_number)"
        " SELECT gen_random_uuid(), %s, (14690000000 + n)::text FROM generate_series(1, %s) AS n RETURNING id",
        [campaign, count],
    )
    return sorted(row[0] for row in await cursor.fetchall())
