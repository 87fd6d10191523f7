"""A batch is done once Kafka has its events, above the limit nothing is published, and each unknown word is logged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from domain.traces import trace_id_of
from runtime import metrics
from runtime.settings import read_settings
from runtime.tracing import TRACES
from schemas.bundles import Body, encode_bundle
from schemas.callback import encode
from schemas.places import Outgoing, Record
from schemas.reasons import ItemOutcome
from schemas.topics import TopicSpec
from streams.reconciler.process import EVENTS_AT_ONCE, WORDS_LOGGED_MAX, Reconciler
from tests.support.spans import values
from topics.dead_letter_limit import TooManyDeadLetters
from topics.memory import MemoryPublisher
from topics.publisher import PUBLISH_TIMEOUT_S, PublishFailed

if TYPE_CHECKING:
    from tests.support.spans import Spans

RECEIVED_US = 1_767_225_600_000_000
SETTINGS = read_settings({
    "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "CAMPAIGNS_DATABASE_URL": "postgresql://nobody@nowhere/none",
    "CAMPAIGNS_CALLBACK_SECRET": "a-secret-of-the-tests",
    "CAMPAIGNS_DEAD_LETTER_RATE_MAX": "1",
})  # fmt: skip


def record(*bodies: bytes) -> Record:
    value = encode_bundle([Body(RECEIVED_US, raw) for raw in bodies])
    return Record("webhooks.raw", 0, 0, None, value, at=datetime(2026, 1, 1, tzinfo=UTC))


def bundle(*words: str) -> Record:
    statuses = [{"id": "wamid.A", "status": word, "timestamp": "1767225600"} for word in words]
    return record(json.dumps({"statuses": statuses}).encode())


async def test_each_unknown_status_word_is_logged_once_and_their_number_is_bounded() -> None:
    stage = Reconciler(SETTINGS, MemoryPublisher())
    with capture_logs() as lines:
        await stage.handle([bundle("sent", "held", "held"), bundle("held")])
        await stage.handle([bundle("held", *(f"word{n}" for n in range(WORDS_LOGGED_MAX)))])
    words = [line["word"] for line in lines]
    assert words == ["held", *(f"word{n}" for n in range(WORDS_LOGGED_MAX - 1))]


def test_the_counters_of_items_begin_at_zero() -> None:
    """Prometheus sees no increase between no series and a first item, so no alert would fire."""
    Reconciler(SETTINGS, MemoryPublisher())
    shown = {
        sample.labels["outcome"]
        for family in metrics.RECONCILER_ITEMS.collect()
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    assert shown >= {outcome.value for outcome in ItemOutcome}


async def test_a_batch_is_not_done_until_kafka_has_its_events() -> None:
    publisher = MemoryPublisher()
    reconciler = Reconciler(SETTINGS, publisher)
    publisher.is_down = True
    with pytest.raises(PublishFailed):
        await reconciler.handle([bundle("sent")])
    publisher.is_down = False
    await reconciler.handle([bundle("sent")])
    assert len(publisher.of_topic("recipient.events")) == 1


async def test_an_opt_out_and_a_reply_go_to_their_topics_by_the_words_of_the_setting() -> None:
    text = {"body": "Leave me alone"}
    message = {"from": "15550000001", "timestamp": "1767225600", "text": text, "context": {"id": "wamid.OURS"}}
    raw = json.dumps({"value": {"messages": [message]}, "field": "messages"}).encode()
    publisher = MemoryPublisher()
    settings = SETTINGS.model_copy(update={"stop_words": ("leave me alone",)})
    await Reconciler(settings, publisher).handle([record(raw)])
    [reply] = publisher.of_topic("recipient.events")
    [opt_out] = publisher.of_topic("subscription.events")
    assert (reply.key, opt_out.key) == (b"wamid.OURS", b"15550000001")


async def test_above_the_limit_nothing_is_published() -> None:
    """A halted stage gets the batch again and again."""
    publisher = MemoryPublisher()
    with pytest.raises(TooManyDeadLetters):
        await Reconciler(SETTINGS, publisher).handle([bundle("sent"), record(b"no json", b"no json")])
    assert publisher.records == []


def ours(recipient: UUID, word: str) -> bytes:
    data = encode(b"a-secret-of-the-tests", "default", uuid4(), recipient, 3)
    status = {"id": "wamid.A", "status": word, "timestamp": "1767225600", "biz_opaque_callback_data": data}
    return json.dumps({"statuses": [status, {"id": "wamid.B", "status": word, "timestamp": "1767225600"}]}).encode()


async def test_a_webhook_belongs_to_the_trace_that_its_callback_data_names(spans: Spans) -> None:
    publisher, recipient = MemoryPublisher(), uuid4()
    stage = Reconciler(SETTINGS, publisher)
    for _ in range(2):  # Kafka delivers the batch again after a crash
        await stage.handle([record(ours(recipient, "sent"), ours(recipient, "read"))])
    sent, read, *again = spans.named("reconcile")
    assert [span.context for span in again] == [sent.context, read.context]
    assert sent.context is not None
    assert sent.context.trace_id == trace_id_of(recipient, 3)
    assert sent.start_time == RECEIVED_US * 1000
    assert values(sent) == {
        "campaigns.recipient_id": str(recipient),
        "campaigns.attempt": 3,
        "campaigns.event": "sent",
        "campaigns.item": "sent webhooks.raw/0@0[0]",
    }
    places = [TRACES.place(each.headers or ()) for each in publisher.records[:4]]
    assert [place and place.span_id for place in places] == [
        sent.context.span_id, None, read.context and read.context.span_id, None,
    ]  # fmt: skip


async def test_an_event_that_is_too_large_has_no_span(spans: Spans) -> None:
    publisher = MemoryPublisher([TopicSpec("recipient.events", 1, -1, record_bytes_max=10)])
    with pytest.raises(PublishFailed):  # this test has no topic for the dead letter
        await Reconciler(SETTINGS, publisher).handle([record(ours(uuid4(), "sent"))])
    assert spans.all == []


def large(count: int) -> Record:
    """A bundle of so many plain statuses."""
    status = {"id": "wamid.A", "status": "sent", "timestamp": "1767225600"}
    value = {"metadata": {"phone_number_id": "1"}, "statuses": [status] * count}
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    return record(json.dumps(body).encode())


async def test_a_large_batch_is_published_in_parts_and_done_when_kafka_has_all() -> None:
    publisher = MemoryPublisher()
    await Reconciler(SETTINGS, publisher).handle([large(EVENTS_AT_ONCE), large(EVENTS_AT_ONCE), large(1)])
    assert len(publisher.of_topic("recipient.events")) == 2 * EVENTS_AT_ONCE + 1


async def test_the_names_of_a_person_are_published_once() -> None:
    message = {"from": "15550001234", "id": "wamid.in", "timestamp": "1767225600", "type": "text",
               "text": {"body": "Thanks"}, "from_user_id": "US.1"}  # fmt: skip
    value = {"metadata": {"phone_number_id": "1"}, "messages": [message],
             "contacts": [{"wa_id": "15550001234", "user_id": "US.1"}]}  # fmt: skip
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    publisher = MemoryPublisher()
    reconciler = Reconciler(SETTINGS, publisher)
    for _ in range(3):
        await reconciler.handle([record(json.dumps(body).encode())])
    assert len(publisher.of_topic("subscription.events")) == 1


class FirstFails(MemoryPublisher):
    """Does not acknowledge its first publication."""

    has_failed = False

    async def publish_batch(
        self, records: Sequence[Outgoing], timeout_s: float = PUBLISH_TIMEOUT_S
    ) -> list[tuple[int, int]]:
        if not self.has_failed:
            self.has_failed = True
            raise PublishFailed("away")
        return await super().publish_batch(records, timeout_s)


async def test_a_part_that_kafka_does_not_acknowledge_fails_the_batch() -> None:
    with pytest.raises(PublishFailed):
        await Reconciler(SETTINGS, FirstFails()).handle([large(EVENTS_AT_ONCE), large(1)])


async def test_from_the_first_dead_letter_on_nothing_is_published_above_the_limit() -> None:
    publisher = MemoryPublisher()
    records = [large(EVENTS_AT_ONCE), record(b"no json", b"no json"), large(EVENTS_AT_ONCE)]
    with pytest.raises(TooManyDeadLetters):
        await Reconciler(SETTINGS, publisher).handle(records)
    assert len(publisher.records) == EVENTS_AT_ONCE
