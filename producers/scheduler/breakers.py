"""What the leader does about breakers: it pauses the campaigns that a breaker holds, and publishes every change.

Senders feed the breakers, and claims and releases obey them, without this loop. A change is published, logged and
counted once it is committed. A crash between Kafka's acknowledgement and the mark publishes it again.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from domain.breakers import HOLD_LIMIT_S
from producers.scheduler.work import WorkWatch
from runtime import metrics
from runtime.settings import Settings
from schemas.codec import PRODUCER, encode
from schemas.control import ControlEvent, ControlKind
from schemas.model import CampaignId
from schemas.places import Outgoing
from schemas.topics import Topic
from tables import breakers
from tables.breakers import BreakerChange, shown_key
from tables.leadership import Leader
from tables.work import WorkKind
from topics.jobs import PUBLISH_TIMEOUT_S
from topics.publisher import Publisher, PublishFailed

ROUND_S = 1.0
FORGET_EVERY_S = 10.0
CHANGES_MAX = 500
HOLD_LIMIT_MIN_S = 60.0
"""However much a demo shortens a day, an outage of a minute pauses nothing."""

log = structlog.get_logger("scheduler")


async def watch_breakers(
    leader: Leader, publisher: Publisher, settings: Settings, stop: asyncio.Event, work: WorkWatch
) -> None:
    """Run a round every second until `stop`, while there are breakers or changes.

    Changes wait in Postgres while Kafka is away.
    """
    limit_s = max(HOLD_LIMIT_MIN_S, HOLD_LIMIT_S / settings.time_scale)
    forget_at = 0.0
    while await work.next_round(stop, frozenset({WorkKind.BREAKERS}), ROUND_S) is not None:
        async with leader.turn() as connection:
            for campaign_id, reason in await breakers.pause_held(connection, limit_s):
                log.error("campaign paused by a breaker", campaign_id=str(campaign_id), reason=reason)
            changes = await breakers.unpublished_changes(connection, CHANGES_MAX)
            for scope, count in (await breakers.count_open(connection)).items():
                metrics.BREAKERS_OPEN.labels(scope.value).set(count)
            if time.monotonic() >= forget_at:
                forget_at = time.monotonic() + FORGET_EVERY_S
                await breakers.forget_recovered(connection, CHANGES_MAX)
        try:
            await publish_changes(leader, publisher, settings, changes)
        except PublishFailed as error:
            log.warning("changes of breakers are not published; they wait for Kafka", error=str(error))


async def publish_changes(
    leader: Leader, publisher: Publisher, settings: Settings, changes: list[BreakerChange]
) -> None:
    """Publish changes, mark them, then log and count each. Raises PublishFailed."""
    if not changes:
        return
    topic = settings.topic(Topic.CAMPAIGN_CONTROL)
    events = [control_event(change) for change in changes]
    await publisher.publish_batch(
        [Outgoing(topic, each.record_key, encode(each)) for each in events], PUBLISH_TIMEOUT_S
    )
    async with leader.turn() as connection:
        await breakers.mark_changes(connection, changes)
    for event in events:
        metrics.BREAKER_CHANGES.labels(event.scope, event.kind.value).inc()
        if event.kind is not ControlKind.CAMPAIGN_PAUSED:
            write = log.error if event.kind is ControlKind.OPENED else log.info
            write(
                f"breaker {event.kind.value}",
                scope=event.scope,
                key=event.key,
                code=event.code,
                reason=event.reason,
                needs_human=event.needs_human,
            )


def control_event(change: BreakerChange) -> ControlEvent:
    """The event of a change. The key of a pair names a person, so it is masked."""
    return ControlEvent(
        producer=PRODUCER,
        kind=ControlKind(change.change),
        scope=change.scope,
        key=shown_key(change.scope, change.key),
        campaign_id=None if change.campaign_id is None else CampaignId(change.campaign_id),
        code=change.code,
        reason=None if change.reason is None else change.reason[:400],
        needs_human=change.needs_human,
        occurred_at=change.changed_at,
    )
