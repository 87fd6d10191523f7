"""The stats publisher: folds counter deltas and publishes absolute snapshots, at most every 250 ms per campaign.

One process publishes at a time (see `tables.leadership`); the others are on standby. A version is marked as published
only after Kafka has committed it. If a publisher is killed in between, the next one publishes that version again.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.pulse import Heartbeats, Pulse
from runtime.settings import Settings
from runtime.waiting import pause
from tables import database, locks, stats
from tables.database import Connection, is_transient
from tables.leadership import Election, Leader, leadership
from tables.parked import forget_parked
from topics import clients
from topics.snapshots import NotPublished, SnapshotPublisher

ACTIVE_S = 0.25
"""Pause after a round that published something."""
IDLE_S = 1.0
"""Pause after a round that published nothing. Well below the 10 s after which the server ends an idle session."""
SNAPSHOTS_MAX = 500
"""Snapshots in one Kafka transaction; the next round publishes the others."""
FORGET_EVERY_S = 60.0
"""Pause between two deletions of old parked statuses."""
ELECTION = Election(
    component=__name__,
    application_name="campaigns-stats",
    lock=locks.STATS_PUBLISHER,
    session={"idle_session_timeout": "10s"},
)
"""The publisher's role. A frozen publisher loses its session after 10 s, and with it the lock."""

log = structlog.get_logger(__name__)


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Publish until `stop`."""
    is_kafka_there, is_postgres_there = clients.answering(settings), database.answering(settings)
    beats = Heartbeats()
    pulse = Pulse(settings, "stats", beats, lambda: is_kafka_there() and is_postgres_there())
    pulse.start()
    try:
        await _publish(settings, stop, beats)
    finally:
        pulse.stop()


async def _publish(settings: Settings, stop: asyncio.Event, beats: Heartbeats) -> None:
    tries = 0
    while not stop.is_set():
        try:
            async with leadership(settings, ELECTION, stop, beats) as leader:
                tries = 0
                if leader is not None:
                    await _lead(settings, leader, stop, beats)
        except Exception as error:
            if not (is_transient(error) or isinstance(error, NotPublished)):
                raise
            tries += 1
            beats.beat()
            metrics.RETRIES.labels("stats").inc()
            log.warning("retrying", error=str(error), tries=tries)
            await pause(stop, exponential(tries, base_s=0.2, cap_s=5.0))


async def _lead(settings: Settings, leader: Leader, stop: asyncio.Event, beats: Heartbeats) -> None:
    publisher = SnapshotPublisher(settings)
    await publisher.open()
    log.info("publishing stats")
    forgotten_at = 0.0
    try:
        while not stop.is_set():
            beats.beat()
            async with leader.turn() as connection:
                published = await publish_once(connection, publisher)
                if time.monotonic() - forgotten_at > FORGET_EVERY_S:
                    forgotten_at = time.monotonic()
                    await forget_parked(connection)
            await pause(stop, ACTIVE_S if published else IDLE_S)
    finally:
        await publisher.close()


async def publish_once(connection: Connection, publisher: SnapshotPublisher) -> int:
    """Fold the deltas and publish each campaign whose version is new; returns the number of snapshots."""
    await stats.fold(connection)
    snapshots = await stats.read_unpublished(connection, SNAPSHOTS_MAX)
    if snapshots:
        await publisher.publish(snapshots)
        await stats.mark_published(connection, snapshots)
        metrics.STATS_SNAPSHOTS.inc(len(snapshots))
    return len(snapshots)
