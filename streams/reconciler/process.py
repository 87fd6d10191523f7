"""The reconciler: webhooks as Meta sent them into events about recipients.

Needs Kafka alone. Publishes everything that a batch says before the batch is acknowledged; a batch that is read twice
says the same twice, which the merge downstream does not mind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from domain.correlation import Ownership
from runtime import metrics
from runtime.settings import Settings
from schemas.places import Record
from schemas.topics import Topic
from streams.faust_app import Consumption, consume
from streams.reconciler.reading import STAGE, Outputs, reconcile
from topics.dead_letter_limit import DeadLetterLimit
from topics.publisher import AsyncPublisher

BATCH_RECORDS_MAX = 50
"""Bundles of up to 500 bodies: some thousands of items are a good batch, more only make a crash repeat more."""
WITHIN_S = 0.05
BUFFER_RECORDS_MAX = 256
"""A bundle may have 1 MiB and rarely has 300 KiB: the buffer stays under some tens of MiB."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume `webhooks.raw` until `stop`."""
    settings.require("callback_secret")
    publisher = AsyncPublisher(settings)
    stage = Reconciler(settings, publisher)
    source = settings.topic(Topic.WEBHOOKS_RAW)
    try:
        await consume(
            settings, stop, Consumption(STAGE, source, BATCH_RECORDS_MAX, WITHIN_S, BUFFER_RECORDS_MAX), stage.handle
        )
    finally:
        await publisher.close()


class Reconciler:
    """Handles batches; publishes through the publisher it is given."""

    def __init__(self, settings: Settings, publisher: AsyncPublisher) -> None:
        self._publisher = publisher
        self._events_topic = settings.topic(Topic.RECIPIENT_EVENTS)
        self._limit = DeadLetterLimit(settings.dead_letter_rate_max, settings.dead_letter_share_max)
        self._log = structlog.get_logger(STAGE)
        self._ours = Ownership(
            settings.callback_secret.get_secret_value().encode(),
            settings.deployment,
            settings.whatsapp_phone_number_id,
            settings.time_scale,
        )

    async def handle(self, records: Sequence[Record]) -> None:
        """Publish what the records say. Raises Transient, or TooManyDeadLetters."""
        started = time.monotonic()
        outputs = Outputs()
        for record in records:
            reconcile(record, self._ours, self._events_topic, outputs)
            await asyncio.sleep(0)  # a batch may have 50,000 items, and the group's heartbeats share this loop
        dead, items = outputs.dead.total(), outputs.items.total()
        self._limit.require(time.monotonic(), dead, items)
        await self._publisher.publish_batch(outputs.published)
        self._limit.add(time.monotonic(), dead, items)
        self._count(outputs, time.monotonic() - started)

    def _count(self, outputs: Outputs, seconds: float) -> None:
        metrics.RECONCILER_BATCH_SECONDS.observe(seconds)
        metrics.RECONCILER_BODIES.inc(outputs.bodies)
        for outcome, count in outputs.items.items():
            metrics.RECONCILER_ITEMS.labels(outcome).inc(count)
        for kind, count in outputs.events.items():
            metrics.RECONCILER_EVENTS.labels(kind).inc(count)
        for reason, count in outputs.dead.items():
            metrics.DEAD_LETTERS.labels(STAGE, reason).inc(count)
            self._log.warning("dead letters", reason=reason, count=count)
