"""`campaign.stats`: the progress of a campaign in absolute numbers. The highest version of a campaign wins.

The REST answer has the same fields and an estimate of the end. The topic is public: dashboards read it. The publisher
writes in transactions, so readers should use `isolation.level=read_committed`. A snapshot may arrive twice: keep the
one with the highest version.
"""

from __future__ import annotations

from pydantic import Field

from schemas.model import CampaignId, UtcTime, WireModel

SCHEMA_VERSION = 1


class CampaignStats(WireModel):
    """One campaign at one moment, in absolute numbers of its recipients.

    sent, delivered, read and replied are a funnel: a recipient who has read counts in sent and delivered too. `failed`
    counts recipients whose status is failed now. It overlaps with `sent`, because a message can fail after it was sent.
    The counters of statuses (pending, queued, failed, skipped, unknown) do not overlap with each other.

    The topic is compacted and written in Kafka transactions: read it with `isolation.level=read_committed`. A snapshot
    may be delivered more than once, and the highest `version` of a campaign wins. A record without a value means that
    the campaign, a draft, was deleted.
    """

    v: int = SCHEMA_VERSION
    """The version of this schema. It changes only if old readers would misread a record."""
    producer: str = ""
    """The program and version that wrote the record."""
    campaign_id: CampaignId
    """The campaign."""
    campaign_name: str
    """The name of the campaign, as an operator wrote it."""
    status: str
    """The campaign's: draft, active, paused, completed, cancelled."""
    total_target: int = 0
    """All recipients of the campaign."""
    sent: int = 0
    """Recipients with an accepted message or a status from WhatsApp. Some of them failed later."""
    delivered: int = 0
    """Recipients whose device has received the message."""
    read: int = 0
    """Recipients who have read the message, as far as they let WhatsApp report it."""
    failed: int = 0
    """Recipients whose status is failed, including those that will be retried, and those that failed after `sent`."""
    pending: int = 0
    """Recipients without a released attempt."""
    handled: int = 0
    """Recipients with an outcome: all but the pending, the queued, and those that were skipped by a cancellation."""
    progress_percentage: float = 0.0
    """handled of total_target, in per cent with one decimal. A released message (queued) is no progress yet."""
    delivery_rate: float = 0.0
    """Delivered of sent, in per cent with one decimal."""
    read_rate: float = 0.0
    """Read of sent, in per cent with one decimal."""
    queued: int = 0
    """Recipients whose attempt is released or deferred, and has no outcome yet."""
    skipped: int = 0
    """Recipients that get no message, for a reason in `skips`."""
    unknown: int = 0
    """Recipients whose last message has no known outcome. It is not sent again automatically."""
    retrying: int = 0
    """Failed or unknown ones that are due again. They count in `failed` or `unknown` too."""
    replied: int = 0
    """Recipients who have replied to the message."""
    failures: dict[str, int] = Field(default_factory=dict)
    """Failed rows by Meta's code, by our reason code, or `unknown`; `other` sums the rarest of more than 100."""
    skips: dict[str, int] = Field(default_factory=dict)
    """Skipped rows by reason code, or `unknown`."""
    version: int = 0
    """Rises with each change of the counters. Of two snapshots the one with the higher version is newer."""
    as_of: UtcTime
    """The time at which these numbers were true."""

    @property
    def key(self) -> bytes:
        """The Kafka key: the campaign, so that compaction keeps the last snapshot of each."""
        return snapshot_key(self.campaign_id)


def snapshot_key(campaign: CampaignId) -> bytes:
    """The Kafka key of a campaign's snapshots."""
    return str(campaign).encode()


class CampaignProgress(CampaignStats):
    """One campaign at this moment, and the estimate of its end.

    The estimate is not in the topic, because it depends on the clock too, and a snapshot is written only when a counter
    changes. The last snapshot of a campaign that has come to a halt would show an end that never comes.
    """

    eta: UtcTime | None = None
    """When the rest will have an outcome, at the rate of the last five minutes and within the daily limit. Null unless
    the campaign is active, has recipients left, and had an outcome in these minutes."""
