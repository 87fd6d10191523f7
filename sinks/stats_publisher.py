"""The stats publisher: folds deltas and publishes absolute snapshots, each campaign at most every 250 ms.

One works at a time (an advisory lock that ends with its session); others wait. A version counts as published only
after Kafka committed it, so a publisher killed in between is made good by the next one.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.pulse import Heartbeats, Pulse
from runtime.settings import Settings
from tables import database, locks, stats
from tables.database import Connection, connect, is_transient
from tables.parked import forget_parked
from topics import clients
from topics.snapshots import NotPublished, SnapshotPublisher

ACTIVE_S = 0.25
IDLE_S = 1.0
STANDBY_S = 1.0
SNAPSHOTS_MAX = 500
"""In one transaction; the others follow in the next round."""
FORGET_EVERY_S = 60.0
SESSION = {"idle_session_timeout": "10000"}
"""A frozen publisher loses its session, and with it the lock."""

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
            connection = await _connect(settings)
            tries = 0
            async with connection:
                if await _is_leader(connection, stop, beats):
                    await _lead(settings, connection, stop, beats)
        except Exception as error:
            if not (is_transient(error) or isinstance(error, NotPublished)):
                raise
            tries += 1
            beats.beat()
            metrics.RETRIES.labels("stats").inc()
            log.warning("trying again", error=str(error), tries=tries)
            await _pause(stop, exponential(tries, base_s=0.2, cap_s=5.0))


async def _lead(settings: Settings, connection: Connection, stop: asyncio.Event, beats: Heartbeats) -> None:
    publisher = SnapshotPublisher(settings)
    await publisher.open()
    log.info("publishing stats")
    forgotten_at = 0.0
    try:
        while not stop.is_set():
            beats.beat()
            published = await publish_once(connection, publisher)
            if time.monotonic() - forgotten_at > FORGET_EVERY_S:
                forgotten_at = time.monotonic()
                await forget_parked(connection)
            await _pause(stop, ACTIVE_S if published else IDLE_S)
    finally:
        await publisher.close()


async def publish_once(connection: Connection, publisher: SnapshotPublisher) -> int:
    """Fold, publish what is behind, remember it; how many snapshots went out."""
    await stats.fold(connection)
    snapshots = await stats.read_unpublished(connection, SNAPSHOTS_MAX)
    if snapshots:
        await publisher.publish(snapshots)
        await stats.mark_published(connection, snapshots)
        metrics.STATS_SNAPSHOTS.inc(len(snapshots))
    return len(snapshots)


async def _connect(settings: Settings) -> Connection:
    url = settings.database_url.get_secret_value()
    return await connect(url, application_name="campaigns-stats", session=SESSION)


async def _is_leader(connection: Connection, stop: asyncio.Event, beats: Heartbeats) -> bool:
    """Wait for the lock; False at the stop."""
    while not stop.is_set():
        beats.beat()
        cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [locks.STATS_PUBLISHER])
        row = await cursor.fetchone()
        if row and row[0]:
            return True
        await _pause(stop, STANDBY_S)
    return False


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
