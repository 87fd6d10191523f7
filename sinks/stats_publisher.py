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
from tables.parked import ROWS_MAX, forget_parked
from topics import clients
from topics.snapshots import NotPublished, SnapshotPublisher

ACTIVE_S = 0.25
"""Pause after a round that published something."""
IDLE_S = 1.0
"""Pause after a round that published nothing. Well below the 10 s after which the server ends an idle session."""
SNAPSHOTS_MAX = 500
"""Snapshots, or minutes of campaigns, in one Kafka transaction; the next round publishes the others."""
TIMELINE_EVERY_S = 1.0
"""Pause between two publications of minutes. The present minute changes with each fold."""
FORGET_EVERY_S = 60.0
"""Pause between two deletions of old parked statuses, once all old ones are deleted. Before, one chunk per round."""
ELECTION = Election(
    component=__name__,
    application_name="campaigns-stats-publisher",
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
    forget_at = timeline_at = time.monotonic()
    place = stats.FIRST_PLACE
    try:
        while not stop.is_set():
            beats.beat()
            async with leader.turn() as connection:
                place = await stats.fold(connection, place)
                published = await publish_once(connection, publisher) + await delete_once(connection, publisher)
                if (
                    time.monotonic() >= timeline_at
                    and await publish_minutes_once(connection, publisher) < SNAPSHOTS_MAX
                ):
                    timeline_at = time.monotonic() + TIMELINE_EVERY_S
                if time.monotonic() >= forget_at and await forget_parked(connection) < ROWS_MAX:
                    forget_at = time.monotonic() + FORGET_EVERY_S
            is_busy = published or place != stats.FIRST_PLACE or time.monotonic() >= forget_at
            await pause(stop, ACTIVE_S if is_busy else IDLE_S)
    finally:
        await publisher.close()


async def publish_once(connection: Connection, publisher: SnapshotPublisher) -> int:
    """Publish each campaign whose folded version is new; returns the number of snapshots.

    A snapshot that is too large for the topic is logged and left out until the campaign has a later version.
    """
    snapshots = await stats.read_unpublished(connection, SNAPSHOTS_MAX)
    if not snapshots:
        return 0
    refused = await publisher.publish(snapshots)
    for each in refused:
        log.error("a snapshot is too large for the topic; it is not published", campaign_id=str(each.campaign_id))
    too_large = {each.campaign_id for each in refused}
    published = [each for each in snapshots if each.campaign_id not in too_large]
    await stats.mark_published(connection, published)
    await stats.mark_refused(connection, refused)
    metrics.STATS_SNAPSHOTS.inc(len(published))
    metrics.STATS_REFUSED.inc(len(refused))
    return len(snapshots)


async def publish_minutes_once(connection: Connection, publisher: SnapshotPublisher) -> int:
    """Publish the minutes of campaigns whose last version is not published; returns their number."""
    minutes = await stats.read_unpublished_minutes(connection, SNAPSHOTS_MAX)
    if minutes:
        await publisher.publish_minutes(minutes)
        await stats.mark_minutes_published(connection, minutes)
        metrics.STATS_MINUTES.inc(len(minutes))
    return len(minutes)


async def delete_once(connection: Connection, publisher: SnapshotPublisher) -> int:
    """Delete the snapshots of deleted campaigns from the topic; returns their number.

    It runs after `publish_once` and in the same process, so no snapshot of these campaigns comes later. If the process
    is killed in between, they are deleted again.
    """
    deleted = await stats.read_deleted(connection, SNAPSHOTS_MAX)
    if deleted:
        await publisher.delete(deleted)
        await stats.forget_deleted(connection, deleted)
    return len(deleted)
