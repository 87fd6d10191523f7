"""Which records of a batch were acknowledged, when others were not."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from confluent_kafka import KafkaError, Message

from topics.publisher import PublishFailed, _PlacedBatch


class Acknowledged:
    """The report of a record that a broker has stored."""

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17


async def test_a_failed_batch_names_what_was_acknowledged() -> None:
    batch = _PlacedBatch(asyncio.get_running_loop(), 3)
    batch.delivery(1)(None, cast("Message", Acknowledged()))
    assert batch.acknowledged() == {1: (3, 17)}
    batch.delivery(0)(KafkaError(KafkaError._MSG_TIMED_OUT), None)
    batch.delivery(2)(None, cast("Message", Acknowledged()))
    await batch.done
    with pytest.raises(PublishFailed, match="_MSG_TIMED_OUT") as failed:
        batch.result()
    assert failed.value.acknowledged == {1: (3, 17), 2: (3, 17)}
