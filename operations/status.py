"""Where everything stands: what Postgres and Kafka know, each by itself, because one may be away.

It collects; what of it is well, and what to do about the rest, is decided where it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from operations.dead_letters import dead_topics
from runtime.settings import Settings
from schemas.bundles import decode_bundle
from schemas.codec import Malformed
from schemas.places import Watermarks
from schemas.topics import Topic
from schemas.webhook_statuses import StatusItem
from schemas.webhooks import parse_body
from tables import locks, status
from tables.database import Connection
from tables.dead_letters import count_acts
from tables.offsets import read_positions
from tables.recovery import read_installation
from topics.lag import KafkaQueries, Lag

SAMPLE_BYTES = 8 * 1024 * 1024
"""Of bundles that wait, read to count their statuses."""


STAGES: Mapping[str, Topic] = {
    "reconciler": Topic.WEBHOOKS_RAW,
    "sender": Topic.SEND_JOBS,
    "sink": Topic.RECIPIENT_EVENTS,
}
"""Consumer groups, and what each reads."""


@dataclass(frozen=True, slots=True)
class OpenCampaign:
    """A campaign that sends, or is paused."""

    id: UUID
    name: str
    status: str
    pause_reason: str | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in Postgres, in the order of `read_backlog`."""

    parked: int
    parked_since: datetime | None
    released: int
    """Released by active campaigns, and neither claimed nor refused."""
    released_since: datetime | None
    in_flight: int
    past_lease: int
    untold: int
    """Answers in the ledger that are not published."""
    untold_since: datetime | None
    double_sends: int
    unknown: int


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What Postgres knows."""

    numbers: Backlog
    campaigns: tuple[OpenCampaign, ...]
    sessions: Mapping[str, int]
    """Our processes by application name."""
    is_our_history: bool
    """False: restored, or failed over; nothing is sent until `campaigns recover`."""
    has_leader: bool
    has_publisher: bool
    positions: Mapping[int, int]
    """Where the sink stands in `recipient.events`."""


@dataclass(frozen=True, slots=True)
class DeadTopic:
    """What a dead-letter topic keeps."""

    topic_id: str
    kept: Watermarks
    dealt_with: int | None = None
    """Redriven or dropped, as Postgres remembers (None: it was not asked); they are kept all the same."""

    @property
    def waiting(self) -> int:
        """How many nobody has dealt with, as far as that is known."""
        return sum(high - low for low, high in self.kept.values()) - (self.dealt_with or 0)


@dataclass(frozen=True, slots=True)
class KafkaStatus:
    """What Kafka knows."""

    members: Mapping[str, int]
    lags: Mapping[str, Lag]
    """By stage. The sink's is the one that Postgres keeps, where it answers."""
    last_webhook_at: datetime | None
    last_event_at: datetime | None
    dead: Mapping[str, DeadTopic]
    """By the topic that they came from."""
    missing_topics: tuple[str, ...]


async def read_database(connection: Connection, settings: Settings) -> DatabaseStatus:
    """Ask Postgres."""
    held = await status.list_locks(connection)
    return DatabaseStatus(
        numbers=Backlog(*await status.read_backlog(connection)),
        campaigns=tuple(OpenCampaign(*row) for row in await status.list_open_campaigns(connection)),
        sessions=await status.count_sessions(connection),
        is_our_history=(await read_installation(connection))[0],
        has_leader=locks.SCHEDULER in held,
        has_publisher=locks.STATS_PUBLISHER in held,
        positions=await read_positions(connection, settings.topic(Topic.RECIPIENT_EVENTS)),
    )


async def read_kafka(settings: Settings, sink_positions: Mapping[int, int] | None) -> KafkaStatus:
    """Ask Kafka. Raises Transient where it does not answer."""
    return await asyncio.to_thread(_read_kafka, settings, sink_positions)


async def without_dealt_with(connection: Connection, kafka: KafkaStatus) -> KafkaStatus:
    """The same, dead letters that were redriven or dropped left out: only Postgres remembers them."""
    return replace(kafka, dead=await _dealt_with(connection, kafka.dead))


async def count_dead_answers(connection: Connection, settings: Settings) -> int:
    """Dead letters that nobody has dealt with, and that may hold an answer of Meta's. Raises Transient."""
    dead = await asyncio.to_thread(_read_dead, settings, (Topic.WEBHOOKS_RAW, Topic.RECIPIENT_EVENTS))
    return sum(each.waiting for each in (await _dealt_with(connection, dead)).values())


async def _dealt_with(connection: Connection, dead: Mapping[str, DeadTopic]) -> Mapping[str, DeadTopic]:
    acts = await count_acts(connection, {each.topic_id: each.kept for each in dead.values()})
    return {topic: replace(each, dealt_with=acts.get(each.topic_id, 0)) for topic, each in dead.items()}


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
            last_event_at=_last(broker, settings.topic(Topic.RECIPIENT_EVENTS), marks[Topic.RECIPIENT_EVENTS]),
            dead=_read_dead(settings, Topic),
            missing_topics=tuple(topic.value for topic in Topic if not marks[topic]),
        )


def _last(broker: KafkaQueries, name: str, marks: Watermarks) -> datetime | None:
    """When the newest record of a topic was written."""
    last = {(name, p): high - 1 for p, (low, high) in marks.items() if high > low}
    return max(broker.times_at(last).values(), default=None)


def _statuses(broker: KafkaQueries, name: str, passed: Mapping[int, int], marks: Watermarks) -> int:
    """How many statuses wait in bundles: counted, or where there are very many, by the mean of the first ones."""
    waiting = {(name, p): (max(low, passed.get(p, low)), high) for p, (low, high) in marks.items()}
    waiting = {place: (start, end) for place, (start, end) in waiting.items() if start < end}
    records = sum(end - start for start, end in waiting.values())
    values = broker.first_values(waiting, SAMPLE_BYTES)
    found = sum(map(_statuses_of, values))
    return found if len(values) >= records else round(found * records / max(1, len(values)))


def _statuses_of(record: bytes) -> int:
    """What cannot be read is dead-lettered by the reconciler, and is no status."""
    try:
        return sum(_statuses_in(body.raw) for body in decode_bundle(record))
    except Malformed:
        return 0


def _statuses_in(raw: bytes) -> int:
    try:
        return sum(isinstance(item, StatusItem) for item in parse_body(raw))
    except Exception:  # noqa: BLE001 - as above; what makes our code raise is no reason to show no screen
        return 0
