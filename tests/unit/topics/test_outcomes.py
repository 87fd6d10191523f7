"""The event of an outcome is published as the ledger has it, in the trace of its attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from domain.traces import Step
from runtime.tracing import TRACES
from tests.support.spans import values
from topics.memory import MemoryPublisher
from topics.outcomes import publish_stored
from topics.publisher import PublishFailed

if TYPE_CHECKING:
    from tests.support.spans import Spans


@dataclass(frozen=True)
class Stored:
    recipient_id: UUID
    attempt: int = 1
    outcome: str = "accepted"
    event: str = '{"kind": "accepted"}'
    kafka_key: bytes = b"key"


async def test_events_are_published_byte_for_byte_and_each_has_a_span(spans: Spans) -> None:
    publisher, outcomes = MemoryPublisher(), [Stored(uuid4()), Stored(uuid4(), outcome="rejected")]
    await publish_stored(publisher, "events", outcomes)
    assert [(each.key, each.value) for each in publisher.of_topic("events")] == [(b"key", b'{"kind": "accepted"}')] * 2
    assert [each.headers for each in publisher.records] == [TRACES.headers(each, Step.CLAIM) for each in outcomes]
    assert [values(span)["campaigns.event"] for span in spans.named("publish")] == ["accepted", "rejected"]


async def test_what_kafka_did_not_take_has_no_span(spans: Spans) -> None:
    publisher = MemoryPublisher()
    publisher.is_down = True
    with pytest.raises(PublishFailed):
        await publish_stored(publisher, "events", [Stored(uuid4())])
    assert spans.all == []


async def test_without_traces_a_record_has_no_header() -> None:
    publisher = MemoryPublisher()
    await publish_stored(publisher, "events", [Stored(uuid4())])
    assert [each.headers for each in publisher.records] == [None]
