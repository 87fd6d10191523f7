"""A batch is done once Kafka has its events, above the limit nothing is published, and each unknown word is logged."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from runtime.settings import read_settings
from schemas.bundles import Body, encode_bundle
from schemas.places import Record
from streams.reconciler.process import WORDS_LOGGED_MAX, Reconciler
from topics.dead_letter_limit import TooManyDeadLetters
from topics.memory import MemoryPublisher
from topics.publisher import PublishFailed

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


async def test_a_batch_is_not_done_until_kafka_has_its_events() -> None:
    publisher = MemoryPublisher()
    reconciler = Reconciler(SETTINGS, publisher)
    publisher.is_down = True
    with pytest.raises(PublishFailed):
        await reconciler.handle([bundle("sent")])
    publisher.is_down = False
    await reconciler.handle([bundle("sent")])
    assert len(publisher.of_topic("recipient.events")) == 1


async def test_above_the_limit_nothing_is_published() -> None:
    """A halted stage gets the batch again and again."""
    publisher = MemoryPublisher()
    with pytest.raises(TooManyDeadLetters):
        await Reconciler(SETTINGS, publisher).handle([bundle("sent"), record(b"no json", b"no json")])
    assert publisher.records == []
