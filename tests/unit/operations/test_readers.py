"""A replay divides its records into portions, and skips the items that the live stage would refuse."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest

from operations.readers import EVENTS_MAX, ReadRecord, portions, read_event, reader_of
from runtime.settings import InvalidSettings, read_settings
from schemas.codec import encode
from schemas.events import EventKind, RecipientEvent
from schemas.model import RecipientId
from schemas.places import Record
from schemas.topics import Topic
from topics import decoding

AT = datetime(2026, 3, 1, tzinfo=UTC)
EVENT = RecipientEvent(
    kind=EventKind.UNKNOWN, recipient_id=RecipientId(UUID(int=1)), attempt=1, occurred_at=AT, received_at=AT
)


def scanned(value: bytes = b"") -> Record:
    return Record("t", 0, 0, None, value, AT)


def test_a_transaction_gets_whole_records_and_few_events() -> None:
    taken = list(portions([scanned()] * 100, lambda _: ReadRecord([EVENT] * 700), Counter()))
    assert sum(len(records) for records, _ in taken) == 100
    assert all(len(events) == 700 * len(records) < EVENTS_MAX + 700 for records, events in taken)


def test_a_record_that_makes_our_code_raise_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("bug")

    assert read_event(scanned(encode(EVENT))).events == [EVENT]
    assert read_event(scanned(b"{")).refused == {"malformed": 1}
    monkeypatch.setattr(decoding, "decode", fail)
    assert read_event(scanned(encode(EVENT))).refused == {"bug": 1}


def test_webhooks_need_the_secret_that_identifies_our_statuses() -> None:
    settings = read_settings({"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x"})
    with pytest.raises(InvalidSettings, match="CALLBACK_SECRET"):
        reader_of(settings, Topic.WEBHOOKS_RAW)
    assert reader_of(settings, Topic.RECIPIENT_EVENTS) is read_event
