"""The reconciler names each status word that it does not know, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from structlog.testing import capture_logs

from runtime.settings import read_settings
from schemas.bundles import Body, encode_bundle
from schemas.places import Record
from streams.reconciler.process import WORDS_LOGGED_MAX, Reconciler
from topics.memory import MemoryPublisher


def bundle(*words: str) -> Record:
    statuses = [{"id": "wamid.A", "status": word, "timestamp": "1767225600"} for word in words]
    body = Body(1_767_225_600_000_000, json.dumps({"statuses": statuses}).encode())
    return Record("webhooks.raw", 0, 0, None, encode_bundle([body]), at=datetime(2026, 1, 1, tzinfo=UTC))


async def test_each_unknown_status_word_is_logged_once_and_their_number_is_bounded() -> None:
    settings = read_settings({
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "CAMPAIGNS_DATABASE_URL": "postgresql://nobody@nowhere/none",
        "CAMPAIGNS_CALLBACK_SECRET": "a-secret-of-the-tests",
    })  # fmt: skip
    stage = Reconciler(settings, MemoryPublisher())
    with capture_logs() as lines:
        await stage.handle([bundle("sent", "held", "held"), bundle("held")])
        await stage.handle([bundle("held", *(f"word{n}" for n in range(WORDS_LOGGED_MAX)))])
    words = [line["word"] for line in lines]
    assert words == ["held", *(f"word{n}" for n in range(WORDS_LOGGED_MAX - 1))]
