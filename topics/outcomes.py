"""Publishes outcomes that the ledger holds, for the sender and for the sweep of the scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from domain.traces import Step
from runtime.tracing import TRACES, now_ns
from schemas.places import Outgoing
from topics.publisher import PUBLISH_TIMEOUT_S, Publisher


class StoredOutcome(Protocol):
    """An outcome as the ledger holds it. `tables.ledger` has the class."""

    @property
    def recipient_id(self) -> UUID:
        """The row of the recipient."""
        ...

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        ...

    @property
    def outcome(self) -> str:
        """The kind of the event."""
        ...

    @property
    def event(self) -> str:
        """The event, byte for byte."""
        ...

    @property
    def kafka_key(self) -> bytes:
        """The key of its record."""
        ...


async def publish_stored(
    publisher: Publisher, topic: str, outcomes: Sequence[StoredOutcome], timeout_s: float = PUBLISH_TIMEOUT_S
) -> None:
    """Publish the events of outcomes to `recipient.events`, by its real name. Raises PublishFailed, RecordTooLarge."""
    started_ns = now_ns()
    records = [
        Outgoing(topic, each.kafka_key, each.event.encode(), TRACES.headers(each, Step.CLAIM)) for each in outcomes
    ]
    await publisher.publish_batch(records, timeout_s)
    if TRACES.is_on:
        for each in outcomes:
            key = f"{each.outcome} {started_ns}"
            TRACES.record(Step.PUBLISH, each, started_ns, under=Step.CLAIM, key=key, event=each.outcome)
