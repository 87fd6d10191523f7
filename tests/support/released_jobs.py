"""Adds recipients that are released, so that a test of claims and sends needs no scheduler."""

from __future__ import annotations

from datetime import datetime

from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from tables.database import Connection

BUDGET_DAY = "2026-01-01"
BUDGET_USED = 100
"""The used budget of the day that all jobs of `release_jobs` belong to."""

_ADD_RELEASED = """
WITH recipient AS (
    INSERT INTO campaign_recipients (campaign_id, phone_number, attempt)
    SELECT %(campaign)s, (%(phone)s + n)::text, %(attempt)s FROM generate_series(0, %(count)s - 1) AS n
    RETURNING id, phone_number
), release AS (
    INSERT INTO releases (recipient_id, attempt, campaign_id, phone_number_id, send_before, budget_day)
    SELECT id, %(attempt)s, %(campaign)s, %(number)s, %(send_before)s, %(day)s FROM recipient
), budget AS (
    INSERT INTO campaign_days VALUES (%(campaign)s, %(day)s, %(used)s) ON CONFLICT DO NOTHING
)
SELECT id, phone_number FROM recipient ORDER BY id
"""


async def add_released(
    connection: Connection, campaign: CampaignId, first_phone_number: int, count: int, *,
    number_id: str, send_before: datetime, attempt: int,
) -> list[SendJob]:  # fmt: skip
    """Add recipients with consecutive phone numbers. Return their jobs in the order of the recipients' ids."""
    rows = await connection.execute(_ADD_RELEASED, {
        "campaign": campaign, "phone": first_phone_number, "attempt": attempt, "count": count,
        "number": number_id, "send_before": send_before, "day": BUDGET_DAY, "used": BUDGET_USED,
    })  # fmt: skip
    return [
        SendJob(
            campaign_id=campaign, recipient_id=RecipientId(recipient), attempt=attempt, phone_number_id=number_id,
            phone_number=phone_number, template_name="your_template", language_code="en_US", send_before=send_before,
        )
        for recipient, phone_number in await rows.fetchall()
    ]  # fmt: skip
