"""Every topic: name, partitions, retention and sizes. `campaigns topics apply` creates them as defined here.

Names here are without the prefix of the deployment (`Settings.topic`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    """The topics of the pipeline. Each has a dead-letter topic."""

    WEBHOOKS_RAW = "webhooks.raw"
    SEND_JOBS = "send.jobs"
    RECIPIENT_EVENTS = "recipient.events"
    SUBSCRIPTION_EVENTS = "subscription.events"
    CAMPAIGN_CONTROL = "campaign.control"
    CAMPAIGN_STATS = "campaign.stats"
    CAMPAIGN_TIMELINE = "campaign.timeline"

    @property
    def dead(self) -> str:
        """The topic of its dead letters."""
        return dead_letters_of(self)


DEAD_SUFFIX = ".dead"
DEFAULT_RECORD_BYTES_MAX = 1024 * 1024
WEBHOOK_RECORD_BYTES_MAX = 4 * 1024 * 1024
"""A webhook may have 3 MB and 1,000 updates; a body above a bundle's 1 MiB travels alone."""

DEAD_BYTES_MORE = 32 * 1024
"""Room for the headers of a dead letter, so that any record that was read fits unchanged."""

DAY_MS = 86_400_000
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """The definition of one topic."""

    name: str
    partitions: int
    retention_ms: int
    cleanup_policy: str = "delete"
    record_bytes_max: int = DEFAULT_RECORD_BYTES_MAX

    @property
    def is_compacted(self) -> bool:
        """Whether the broker keeps only the last record of each key."""
        return "compact" in self.cleanup_policy.split(",")

    def config(self) -> dict[str, str]:
        """The settings of the topic, by Kafka's names."""
        config = {
            "cleanup.policy": self.cleanup_policy,
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.record_bytes_max),
            "unclean.leader.election.enable": "false",
        }
        if self.is_compacted:
            # A new reader needs only the last snapshots; without these settings it would read weeks of them.
            config |= {
                "min.cleanable.dirty.ratio": "0.1",
                "segment.ms": str(DAY_MS),
                "delete.retention.ms": str(DAY_MS),
            }
        return config


def dead_letters_of(topic: str) -> str:
    """The dead-letter topic of a topic, with or without prefix."""
    return topic + DEAD_SUFFIX


def _with_dead_letters(spec: TopicSpec, dead_retention_ms: int | None = None) -> tuple[TopicSpec, TopicSpec]:
    dead = TopicSpec(
        dead_letters_of(spec.name),
        partitions=1,  # dead letters are rare: a stage with many of them halts
        retention_ms=spec.retention_ms if dead_retention_ms is None else dead_retention_ms,
        record_bytes_max=spec.record_bytes_max + DEAD_BYTES_MORE,
    )
    return spec, dead


SPECS: tuple[TopicSpec, ...] = (
    *_with_dead_letters(
        TopicSpec(Topic.WEBHOOKS_RAW, 8, 30 * DAY_MS, record_bytes_max=WEBHOOK_RECORD_BYTES_MAX),
    ),
    *_with_dead_letters(TopicSpec(Topic.SEND_JOBS, 8, DAY_MS)),
    *_with_dead_letters(TopicSpec(Topic.RECIPIENT_EVENTS, 8, 30 * DAY_MS)),
    *_with_dead_letters(TopicSpec(Topic.SUBSCRIPTION_EVENTS, 4, UNLIMITED)),
    *_with_dead_letters(TopicSpec(Topic.CAMPAIGN_CONTROL, 1, 30 * DAY_MS)),
    # A dead letter has no key for compaction, so retention by time applies.
    *_with_dead_letters(TopicSpec(Topic.CAMPAIGN_STATS, 4, UNLIMITED, "compact"), dead_retention_ms=30 * DAY_MS),
    *_with_dead_letters(TopicSpec(Topic.CAMPAIGN_TIMELINE, 4, 30 * DAY_MS, "compact,delete")),
)

BY_NAME: dict[str, TopicSpec] = {spec.name: spec for spec in SPECS}


@dataclass(frozen=True, slots=True)
class TopicUse:
    """The key of a topic's records, and the processes that write and read them."""

    key: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]


USES: dict[Topic, TopicUse] = {
    Topic.WEBHOOKS_RAW: TopicUse("none", ("ingress",), ("reconciler",)),
    Topic.SEND_JOBS: TopicUse("recipient_id", ("scheduler",), ("sender",)),
    Topic.RECIPIENT_EVENTS: TopicUse(
        "recipient_id, else wamid", ("reconciler", "sender", "scheduler", "operator"), ("sink",)
    ),
    Topic.SUBSCRIPTION_EVENTS: TopicUse("person, else wamid", ("reconciler", "scheduler"), ("sink",)),
    Topic.CAMPAIGN_CONTROL: TopicUse(
        "campaign_id, else scope and key of the breaker", ("scheduler", "reconciler"), ("sink",)
    ),
    Topic.CAMPAIGN_STATS: TopicUse("campaign_id", ("stats",), ("api",)),
    Topic.CAMPAIGN_TIMELINE: TopicUse("campaign_id/minute", ("stats",), ()),
}
"""No process of ours reads the topics without a reader: other systems may."""
