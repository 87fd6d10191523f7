"""`campaign.stats`: the progress of a campaign in absolute numbers. The highest version of a campaign wins.

The REST answer has the same fields. The topic is public: dashboards read it.
"""

from __future__ import annotations

from pydantic import Field

from schemas.model import CampaignId, UtcTime, WireModel

SCHEMA_VERSION = 1


class CampaignStats(WireModel):
    """One campaign at one moment. sent, delivered, read and replied are a funnel: who was read is counted in all."""

    v: int = SCHEMA_VERSION
    producer: str = ""
    campaign_id: CampaignId
    campaign_name: str
    status: str
    """The campaign's: draft, active, paused, completed, cancelled."""
    total_target: int = 0
    sent: int = 0
    delivered: int = 0
    read: int = 0
    failed: int = 0
    """Rows whose status is failed, including those that will be retried."""
    pending: int = 0
    progress_percentage: float = 0.0
    """The share of rows that are no longer pending, in per cent with one decimal."""
    delivery_rate: float = 0.0
    """Delivered of sent, in per cent with one decimal."""
    read_rate: float = 0.0
    """Read of sent, in per cent with one decimal."""
    queued: int = 0
    skipped: int = 0
    unknown: int = 0
    retrying: int = 0
    """Failed or unknown ones that are due again."""
    replied: int = 0
    failures: dict[str, int] = Field(default_factory=dict)
    """Failed rows by Meta's code, by our reason code, or `unknown`; `other` sums the rarest of more than 100."""
    skips: dict[str, int] = Field(default_factory=dict)
    """Skipped rows by reason code, or `unknown`."""
    version: int = 0
    as_of: UtcTime

    @property
    def key(self) -> bytes:
        """The Kafka key: the campaign, so that compaction keeps the last snapshot of each."""
        return str(self.campaign_id).encode()
