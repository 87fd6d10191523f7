"""The reconciler: turns webhooks as Meta sent them into events about recipients, subscriptions and reports of Meta.

It needs Kafka alone. It publishes all events and dead letters of a batch before the batch is acknowledged. A batch that
is read twice publishes the same events twice, and the merge downstream is idempotent.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import structlog

from domain.correlation import Ownership
from domain.traces import Step
from runtime import metrics
from runtime.collector import collecting_rarely
from runtime.settings import Settings
from runtime.tracing import TRACES
from schemas.codec import encode
from schemas.control import ControlEvent
from schemas.events import RecipientEvent
from schemas.places import Headers, Outgoing, Place, Record
from schemas.reasons import DeadLetterReason, ItemOutcome
from schemas.subscriptions import SubscriptionEvent
from schemas.topics import Topic
from streams.faust_app import Consumption, consume
from streams.reconciler.known_names import KnownNames
from streams.reconciler.reading import STAGE, Published, Reconciled, reconcile
from topics.dead_letter_limit import DeadLetterLimit
from topics.dead_letters import DeadLetters
from topics.decoding import dead_item
from topics.exits import ENDS_PROCESSES, ExitGuard, KafkaExitMarks
from topics.publisher import AsyncPublisher, Publisher, RecordTooLarge

BATCH_RECORDS_MAX = 50
"""Bundles hold up to 500 bodies. A larger batch gains little and repeats more after a crash."""
WITHIN_S = 0.1
"""Below a full batch, a longer wait makes fewer batches, and each costs Kafka a request for each partition."""
WORDS_LOGGED_MAX = 20
"""A process logs so many unknown status words, each once. All are counted as `unknown_status`."""
MEAN_WEIGHT = 0.2
"""Weight of the newest batch in the mean of items per record."""
BUFFER_RECORDS_MAX = 64
"""Slightly more than a batch. A bundle may have 1 MiB, so more would be more memory, and no more speed."""
EVENTS_AT_ONCE = 1_000
"""Kafka stores so many events while the next ones are read. With larger parts a batch waits longer for its last one."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Consume `webhooks.raw` until `stop`."""
    settings.require("callback_secret")
    publisher = AsyncPublisher(settings)
    stage = Reconciler(settings, publisher)
    source = settings.topic(Topic.WEBHOOKS_RAW)
    guard = ExitGuard(KafkaExitMarks(settings, STAGE, source), stage.handle, stage.condemn)
    try:
        with collecting_rarely():
            await consume(
                settings,
                stop,
                Consumption(STAGE, source, BATCH_RECORDS_MAX, WITHIN_S, BUFFER_RECORDS_MAX),
                guard.handle,
                statuses_per_record=stage.statuses_per_record,
            )
    finally:
        await publisher.close()


class Reconciler:
    """Handles batches; publishes through the publisher that it is given. `now`: the present, in UTC."""

    def __init__(
        self, settings: Settings, publisher: Publisher, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._publisher = publisher
        self._now = now
        self._log = structlog.get_logger(STAGE)
        self._words_logged: set[str] = set()
        self._known_names = KnownNames()
        self._items_per_record = 1.0
        for outcome in ItemOutcome:  # Prometheus sees no increase in a series that begins with the first item
            metrics.RECONCILER_ITEMS.labels(outcome.value)
        self._events_topic = settings.topic(Topic.RECIPIENT_EVENTS)
        self._subscriptions_topic = settings.topic(Topic.SUBSCRIPTION_EVENTS)
        self._control_topic = settings.topic(Topic.CAMPAIGN_CONTROL)
        self._keywords = settings.keywords()
        limit = DeadLetterLimit(settings.dead_letter_rate_max, settings.dead_letter_share_max)
        self._dead_letters = DeadLetters(publisher, STAGE, limit)
        self._ownership = Ownership(
            settings.callback_secret.get_secret_value().encode(),
            settings.deployment,
            settings.known_numbers,
            settings.time_scale,
        )

    async def handle(self, records: Sequence[Record]) -> None:
        """Publish the events and dead letters of a batch. Raises Transient, or TooManyDeadLetters.

        Events are published in parts while the batch is read, up to the first dead letter of the batch. From there on
        the limit is checked before anything more is published, because a halted stage must not publish the same events
        with every retry.
        """
        started = time.monotonic()
        found: list[Reconciled] = []
        kinds: Counter[str] = Counter()
        has_dead = False
        part: list[Reconciled] = []
        publishing: asyncio.Task[None] | None = None
        for record in records:
            each = self._read(record)
            found.append(each)
            part.append(each)
            has_dead = has_dead or each.is_refused
            await asyncio.sleep(0)  # a batch may have 50,000 items, and the heartbeats of the group share this loop
            if not has_dead and sum(each.event_count for each in part) >= EVENTS_AT_ONCE:
                if publishing is not None:
                    await publishing
                publishing, part = asyncio.create_task(self._publish_events(part, kinds)), []
        if publishing is not None:
            await publishing
        bodies = sum(max(each.bodies, 1) for each in found)
        is_divisible = len(records) > 1
        self._dead_letters.require([item for each in found for item in each.dead], bodies, is_divisible=is_divisible)
        await self._publish_events(part, kinds)
        dead = [item for each in found for item in each.dead]
        await self._dead_letters.publish(dead, bodies, is_divisible=is_divisible)
        metrics.RECONCILER_BATCH_SECONDS.observe(time.monotonic() - started)
        self._count(found, kinds)

    def _count(self, found: Sequence[Reconciled], kinds: Counter[str]) -> None:
        """Count a batch that is done. `kinds`: how many events of each kind were published."""
        items = sum(each.outcomes.total() for each in found) / max(1, len(found))
        self._items_per_record += MEAN_WEIGHT * (items - self._items_per_record)
        metrics.RECONCILER_BODIES.inc(sum(each.bodies for each in found))
        metrics.RECONCILER_LENIENT_BODIES.inc(sum(each.lenient_bodies for each in found))
        for outcome, count in sum((each.outcomes for each in found), Counter[str]()).items():
            metrics.RECONCILER_ITEMS.labels(outcome).inc(count)
        self._log_unknown_words(word for each in found for word in each.unknown_words)
        for kind, count in kinds.items():
            metrics.RECONCILER_EVENTS.labels(kind).inc(count)

    def _read(self, record: Record) -> Reconciled:
        # A trace needs the event itself, which the short way never builds.
        return reconcile(record, self._ownership, self._now(), self._keywords, is_short_way_open=not TRACES.is_on)

    def statuses_per_record(self) -> float:
        """The mean number of items in a record, of the newest batches above all; 1 before the first batch."""
        return self._items_per_record

    def _log_unknown_words(self, words: Iterable[str]) -> None:
        """Log each status word that is not known, once."""
        for word in words:
            if word not in self._words_logged and len(self._words_logged) < WORDS_LOGGED_MAX:
                self._words_logged.add(word)
                self._log.warning("a status word is not known: its statuses change no recipient", word=word)

    async def condemn(self, record: Record) -> None:
        """Dead-letter a record that ends processes, without reading it. Raises Transient, or TooManyDeadLetters."""
        dead = dead_item(record, DeadLetterReason.BUG, ENDS_PROCESSES)
        await self._dead_letters.publish([dead], 1, is_divisible=False)

    async def _publish_events(self, found: Sequence[Reconciled], kinds: Counter[str]) -> None:
        """Publish all events but names that were published lately, and add them to `kinds`.

        The body of an event that is too large for its topic is refused.
        """
        for each in found:
            each.subscriptions = [one for one in each.subscriptions if not self._known_names.are_known(one)]
        plain = [Outgoing(self._events_topic, event.key, event.value) for each in found for event in each.plain]
        others = [self._outgoing(event) for each in found for event in each.published]
        try:
            await self._publisher.publish_all(plain + others)
        except RecordTooLarge as error:
            sources: list[tuple[Reconciled, Published]] = [(each, event) for each in found for event in each.plain]
            sources += [(each, event) for each in found for event in each.published]
            for index in error.indices:
                source, event = sources[index]
                source.refuse_event(event)
        if TRACES.is_on:
            _record_spans(event for each in found for event in each.events)
        for each in found:
            kinds.update(event.kind.value for event in each.published)
            kinds.update(event.kind for event in each.plain)
            self._known_names.remember(each.subscriptions)
            each.forget_events()

    def _outgoing(self, event: RecipientEvent | SubscriptionEvent | ControlEvent) -> Outgoing:
        if isinstance(event, SubscriptionEvent):
            return Outgoing(self._subscriptions_topic, event.key, encode(event))
        if isinstance(event, ControlEvent):
            return Outgoing(self._control_topic, event.record_key, encode(event))
        return Outgoing(self._events_topic, event.key, encode(event), _headers(event))


def _headers(event: RecipientEvent) -> Headers | None:
    return TRACES.headers(event, Step.RECONCILE, _span_key(event)) if TRACES.is_on else None


def _record_spans(events: Iterable[RecipientEvent]) -> None:
    """Record that these events were published, from the receipt of their webhooks on."""
    for event in events:
        received_ns = max(0, int(event.received_at.timestamp() * 1e9))
        key = _span_key(event)
        TRACES.record(Step.RECONCILE, event, received_ns, under=Step.CLAIM, key=key, event=event.kind.value, item=key)


def _span_key(event: RecipientEvent) -> str:
    """The place of the webhook and the kind: an item that is read again has the same span."""
    assert event.origin is not None, "every event of the reconciler has an origin"
    origin = event.origin
    return f"{event.kind.value} {Place(origin.topic, origin.partition, origin.offset, origin.index)}"
