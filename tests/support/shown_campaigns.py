"""A campaign as the page shows it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from domain.lifecycle import CampaignStatus
from domain.windows import DAYTIME, WEEK
from tables.campaigns import Campaign

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def campaign_id(number: int) -> UUID:
    """The id of a campaign; later ones are greater."""
    return UUID(int=(7 << 76) | (2 << 62) | number)


CAMPAIGN = Campaign(
    campaign_id(1), "Sale", "sale", "en_US", None, "15550001", "UTC", None, WEEK, *DAYTIME, "campaign",
    None, None, None, 24, True, 1.0, 50, 500, 10, 15.0, 2.0, 15.0, 5.0, True, 7, (), "sent", None,
    CampaignStatus.ACTIVE, None, NOW, None, NOW, NOW, planning=False,
)  # fmt: skip
