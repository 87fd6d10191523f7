"""Where everything stands: what Postgres and Kafka know, each by itself, because one may be away.

It collects; what of it is well, and what to do about the rest, is decided where it is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.settings import Settings
from schemas.topics import Topic
from sinks import stats_publisher
from sinks.audit import read_positions
from sinks.database import Connection
from sinks.lag import Broker, Lag
from sinks.recovery import read_installation
from sinks.statements import load

SQL = load("standing")

SCHEDULER_LOCK_KEY = 0x63616D70_00000002
"""The scheduler's leader holds it; the scheduler lives above this layer, so a test keeps the two numbers equal."""

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
class Numbers:
    """What waits in Postgres, in the order of `read_numbers`."""

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
class DatabaseStanding:
    """What Postgres knows."""

    numbers: Numbers
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
class KafkaStanding:
    """What Kafka knows."""

    members: Mapping[str, int]
    lags: Mapping[str, Lag]
    """By stage. The sink's is the one that Postgres keeps, where it answers."""
    last_webhook_at: datetime | None
    dead: Mapping[str, int]
    """Records in the dead-letter topic of each topic; those redriven stay until their retention ends."""
    missing_topics: tuple[str, ...]


async def read_database(connection: Connection, settings: Settings) -> DatabaseStanding:
    """Ask Postgres."""
    numbers = await (await connection.execute(SQL["read_numbers"])).fetchone()
    assert numbers is not None
    campaigns = await (await connection.execute(SQL["list_open_campaigns"])).fetchall()
    sessions = await (await connection.execute(SQL["count_sessions"], {})).fetchall()
    locks = {row[0] for row in await (await connection.execute(SQL["list_locks"])).fetchall()}
    return DatabaseStanding(
        numbers=Numbers(*numbers),
        campaigns=tuple(OpenCampaign(*row) for row in campaigns),
        sessions=dict(sessions),
        is_our_history=(await read_installation(connection))[0],
        has_leader=SCHEDULER_LOCK_KEY in locks,
        has_publisher=stats_publisher.LOCK_KEY in locks,
        positions=await read_positions(connection, settings.topic(Topic.RECIPIENT_EVENTS)),
    )


async def read_kafka(settings: Settings, sink_positions: Mapping[int, int] | None) -> KafkaStanding:
    """Ask Kafka. Raises KafkaAway."""
    return await asyncio.to_thread(_read_kafka, settings, sink_positions)


def _read_kafka(settings: Settings, sink_positions: Mapping[int, int] | None) -> KafkaStanding:
    with Broker(settings) as broker:
        marks = {topic: broker.watermarks(settings.topic(topic)) for topic in Topic}
        dead = {topic.value: broker.watermarks(settings.topic(topic.dead)) for topic in Topic}
        lags: dict[str, Lag] = {}
        for stage, topic in STAGES.items():
            name = settings.topic(topic)
            passed = broker.committed(stage, name, marks[topic])
            if stage == "sink" and sink_positions is not None:
                passed = dict(sink_positions)
            lags[stage] = broker.lag(name, passed, marks[topic])
        webhooks = settings.topic(Topic.WEBHOOKS_RAW)
        last = {(webhooks, p): high - 1 for p, (low, high) in marks[Topic.WEBHOOKS_RAW].items() if high > low}
        return KafkaStanding(
            members=broker.members(STAGES),
            lags=lags,
            last_webhook_at=max(broker.times_at(last).values(), default=None),
            dead={topic: sum(high - low for low, high in found.values()) for topic, found in dead.items()},
            missing_topics=tuple(topic.value for topic in Topic if not marks[topic]),
        )
