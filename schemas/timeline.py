"""`campaign.timeline`: how many messages of a campaign changed in each minute. The highest version of a minute wins."""

from __future__ import annotations

from datetime import UTC

from pydantic import Field

from schemas.model import CampaignId, UtcTime, WireModel

SCHEMA_VERSION = 1


class CampaignMinute(WireModel):
    """One minute of one campaign, in numbers of recipients whose state changed in it.

    A minute is the time at which the change was counted, and not the time at WhatsApp: the sums of all minutes are the
    counters of `campaign.stats`. A minute without a change has no record. A late change of a minute is published again
    with a higher version.

    The topic is written in Kafka transactions: read it with `isolation.level=read_committed`. A record may be delivered
    more than once, and the highest `version` of a minute wins.
    """

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    campaign_id: CampaignId
    """The campaign."""
    minute: UtcTime
    """The beginning of the minute."""
    sent: int = 0
    """Recipients that got an accepted message, or the first status of one, in this minute."""
    delivered: int = 0
    """Recipients whose device received the message."""
    read: int = 0
    """Recipients that read the message."""
    failed: int = 0
    """Recipients whose status became failed, less those whose status was failed and is not any more."""
    replied: int = 0
    """Recipients that replied to the message."""
    version: int = Field(ge=1)
    """Rises with each change of this minute."""

    @property
    def key(self) -> bytes:
        """The Kafka key: campaign and minute (`ID/2026-03-01T12:05Z`), so that compaction keeps the last version."""
        return f"{self.campaign_id}/{self.minute.astimezone(UTC):%Y-%m-%dT%H:%MZ}".encode()
