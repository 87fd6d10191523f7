"""Collects what `campaigns status` shows.

Postgres and Kafka are queried independently, so an outage of one does not hide the other. `status_lines` decides what
is a problem and what to do about it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.correlation import KIND_BY_WORD
from domain.portfolio import PortfolioUse
from operations.dead_letters import dead_topics
from runtime.logs import mask_text
from runtime.settings import Settings
from schemas.bundles import decode_bundle
from schemas.codec import Malformed
from schemas.model import CampaignId
from schemas.places import Watermarks
from schemas.stats import CampaignProgress
from schemas.topics import Topic
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import parse_body
from tables import breakers, locks, portfolio, stats, status
from tables.breakers import KnownBreaker
from tables.database import Connection
from tables.dead_letters import count_acts
from tables.offsets import read_positions
from tables.recovery import read_installation
from tables.webhook_progress import read_age
from topics.lag import KafkaQueries, Lag

SAMPLE_BYTES = 8 * 1024 * 1024
"""Most that is read of waiting bundles to count their statuses; above it the count is an estimate."""

NEWEST_RECORDS = 100
"""The newest records of each partition of `webhooks.raw` are searched for status words that are not known."""

ACTIVE_SHOWN = 20
"""Most active campaigns whose progress is read."""

STAGES: Mapping[str, Topic] = {
    "reconciler": Topic.WEBHOOKS_RAW,
    "sender": Topic.SEND_JOBS,
    "sink": Topic.RECIPIENT_EVENTS,
    "subscriptions": Topic.SUBSCRIPTION_EVENTS,
    "control": Topic.CAMPAIGN_CONTROL,
}
"""Consumer group to the topic that it reads. The sink has groups for opt-outs and opt-ins, and for reports of Meta."""


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """An active or paused campaign."""

    id: UUID
    name: str
    status: str
    pause_reason: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """Counts of what waits in Postgres, in the order of the statement `read_backlog`."""

    parked: int
    parked_since: datetime | None
    released: int
    """Attempts that active campaigns released and that no sender has claimed or refused."""
    released_since: datetime | None
    in_flight: int
    past_lease: int
    unpublished: int
    """Send results in the ledger that are not yet published to Kafka."""
    unpublished_since: datetime | None
    double_sends: int
    unknown: int
    held: int
    """Events whose recipient another session has locked."""
    held_since: datetime | None


@dataclass(frozen=True, slots=True)
class AcceptedSends:
    """What WhatsApp has accepted, in the order of the statement `read_sending`."""

    last_minute: int
    last_at: datetime | None
    last_long_ago: datetime | None
    """The last one that is older than `tables.status.SILENT_S`: its webhook must have come since."""


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """The state that Postgres holds."""

    backlog: Backlog
    sending: AcceptedSends
    campaigns: tuple[OpenCampaign, ...]
    progress: Mapping[CampaignId, CampaignProgress]
    """Of the active campaigns, up to a number that fits on a screen."""
    breakers: tuple[KnownBreaker, ...]
    """The open ones."""
    sessions: Mapping[str, int]
    """Database sessions of our processes, by application name."""
    is_our_history: bool
    """False after a restore or a failover: nothing is sent until `campaigns recover` completes."""
    has_leader: bool
    has_publisher: bool
    positions: Mapping[int, int]
    """Next offset of the sink in `recipient.events`, by partition."""
    people: PortfolioUse
    """The budget of people of the portfolio."""
    webhook_age_s: float | None = None
    """Seconds since the moment up to which all webhooks are applied. None: no scheduler has watched them."""


@dataclass(frozen=True, slots=True)
class DeadTopic:
    """The records that a dead-letter topic keeps."""

    topic_id: str
    kept: Watermarks
    handled: int | None = None
    """Records that were redriven or dropped. They stay in the topic; Postgres counts them (None: not queried)."""

    @property
    def waiting(self) -> int:
        """Records neither redriven nor dropped, as far as Postgres was queried."""
        return sum(high - low for low, high in self.kept.values()) - (self.handled or 0)


@dataclass(frozen=True, slots=True)
class KafkaStatus:
    """The state that Kafka holds."""

    members: Mapping[str, int]
    lags: Mapping[str, Lag]
    """By stage. The sink's lag is computed from the offsets in Postgres, if Postgres answers."""
    last_webhook_at: datetime | None
    unknown_words: Mapping[str, int]
    """Status words of the newest webhooks that no version of ours knows, and how often each came."""
    dead: Mapping[str, DeadTopic]
    """By source topic."""
    missing_topics: tuple[str, ...]


async def read_database(connection: Connection, settings: Settings) -> DatabaseStatus:
    """Query Postgres."""
    held = await status.list_locks(connection)
    campaigns = tuple(OpenCampaign(*row) for row in await status.list_open_campaigns(connection))
    active = [CampaignId(each.id) for each in campaigns if each.status == "active"]
    return DatabaseStatus(
        backlog=Backlog(*await status.read_backlog(connection)),
        sending=AcceptedSends(*await status.read_sending(connection)),
        campaigns=campaigns,
        progress=await stats.read(connection, active[:ACTIVE_SHOWN]),
        breakers=tuple(each for each in await breakers.known(connection) if each.opened_at is not None),
        sessions=await status.count_sessions(connection),
        is_our_history=(await read_installation(connection))[0],
        has_leader=locks.SCHEDULER in held,
        has_publisher=locks.STATS_PUBLISHER in held,
        positions=await read_positions(connection, settings.topic(Topic.RECIPIENT_EVENTS)),
        people=await portfolio.read(connection),
        webhook_age_s=await read_age(connection),
    )


async def read_kafka(settings: Settings, sink_positions: Mapping[int, int] | None) -> KafkaStatus:
    """Query Kafka. Raises Transient if it does not answer."""
    return await asyncio.to_thread(_read_kafka, settings, sink_positions)


async def without_handled(connection: Connection, kafka: KafkaStatus) -> KafkaStatus:
    """The same without dead letters that were redriven or dropped, which only Postgres records."""
    return replace(kafka, dead=await _handled(connection, kafka.dead))


async def count_dead_answers(connection: Connection, settings: Settings) -> int:
    """Count waiting dead letters that may hold a send result or a status. Raises Transient if Kafka does not answer."""
    dead = await asyncio.to_thread(_read_dead, settings, (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS))
    return sum(each.waiting for each in (await _handled(connection, dead)).values())


async def _handled(connection: Connection, dead: Mapping[str, DeadTopic]) -> Mapping[str, DeadTopic]:
    acts = await count_acts(connection, {each.topic_id: each.kept for each in dead.values()})
    return {topic: replace(each, handled=acts.get(each.topic_id, 0)) for topic, each in dead.items()}


def _read_dead(settings: Settings, topics: Iterable[Topic]) -> Mapping[str, DeadTopic]:
    ids = dead_topics(settings)
    with KafkaQueries(settings) as broker:
        return {
            topic.value: DeadTopic(
                ids.get(settings.topic(topic.dead), ""), broker.watermarks(settings.topic(topic.dead))
            )
            for topic in topics
        }


def _read_kafka(settings: Settings, sink_positions: Mapping[int, int] | None) -> KafkaStatus:
    with KafkaQueries(settings) as broker:
        marks = {topic: broker.watermarks(settings.topic(topic)) for topic in Topic}
        lags: dict[str, Lag] = {}
        for stage, topic in STAGES.items():
            name = settings.topic(topic)
            passed = broker.committed(stage, name, marks[topic])
            if stage == "sink" and sink_positions is not None:
                passed = dict(sink_positions)
            lags[stage] = broker.lag(name, passed, marks[topic])
            if topic is Topic.WEBHOOKS_RAW and lags[stage].records:
                lags[stage] = replace(lags[stage], statuses=_statuses(broker, name, passed, marks[topic]))
        return KafkaStatus(
            members=broker.members(STAGES),
            lags=lags,
            last_webhook_at=_last(broker, settings.topic(Topic.WEBHOOKS_RAW), marks[Topic.WEBHOOKS_RAW]),
            unknown_words=_unknown_words(broker, settings.topic(Topic.WEBHOOKS_RAW), marks[Topic.WEBHOOKS_RAW]),
            dead=_read_dead(settings, Topic),
            missing_topics=tuple(topic.value for topic in Topic if not marks[topic]),
        )


def _last(broker: KafkaQueries, name: str, marks: Watermarks) -> datetime | None:
    """When the newest record of a topic was written."""
    last = {(name, p): high - 1 for p, (low, high) in marks.items() if high > low}
    return max(broker.times_at(last).values(), default=None)


def _statuses(broker: KafkaQueries, name: str, passed: Mapping[int, int], marks: Watermarks) -> int:
    """Count the statuses in waiting bundles; if there are very many, estimate from the first ones."""
    waiting = {(name, p): (max(low, passed.get(p, low)), high) for p, (low, high) in marks.items()}
    waiting = {place: (start, end) for place, (start, end) in waiting.items() if start < end}
    records = sum(end - start for start, end in waiting.values())
    return round(records * (mean_statuses(broker, waiting) or 0.0))


def mean_statuses(broker: KafkaQueries, waiting: Mapping[tuple[str, int], tuple[int, int]]) -> float | None:
    """The mean number of statuses in the first of these bundles. None: none could be read."""
    values = broker.first_values(waiting, SAMPLE_BYTES) if waiting else []
    return sum(len(statuses_of(value)) for value in values) / len(values) if values else None


def _unknown_words(broker: KafkaQueries, name: str, marks: Watermarks) -> Mapping[str, int]:
    """Count the unknown status words in the newest bundles. The reconciler ignores their statuses."""
    newest = {(name, p): (max(low, high - NEWEST_RECORDS), high) for p, (low, high) in marks.items() if high > low}
    words = (item.status for value in broker.first_values(newest, SAMPLE_BYTES) for item in statuses_of(value))
    return Counter(mask_text(word) for word in words if word not in KIND_BY_WORD)


def statuses_of(record: bytes) -> list[StatusItem]:
    """The statuses of a bundle; none if it is malformed, because the reconciler dead-letters it."""
    try:
        return [item for body in decode_bundle(record) for item in _statuses_in(body.raw)]
    except Malformed:
        return []


def _statuses_in(raw: bytes) -> list[StatusItem]:
    try:
        return [item for item in parse_body(raw) if isinstance(item, StatusItem)]
    except Exception:  # noqa: BLE001 - a malformed body must not hide the rest of the status
        return []
