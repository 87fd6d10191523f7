"""A backlog is requested without pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from faust.transport.drivers import aiokafka
from faust.types import TP

from runtime.settings import Settings
from streams import faust_app
from streams.faust_app import Consumption

SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": "postgresql://x"})
PARTITION = TP("some.topic", 3)


@pytest.fixture
async def consumer() -> AsyncIterator[Any]:
    found = faust_app._app(SETTINGS, Consumption("some", PARTITION.topic, 10, 0.1, 10)).consumer
    found._set_active_tps({PARTITION})
    yield found
    found._thread.thread_loop.close()


async def test_a_partition_with_a_full_buffer_is_requested_on(consumer: Any) -> None:
    consumer.on_buffer_full(PARTITION)
    assert PARTITION in consumer._get_active_partitions()
    aiokafka.Consumer.on_buffer_full(consumer, PARTITION)
    assert PARTITION not in consumer._get_active_partitions(), "Faust itself does not request it"


def test_aiokafka_has_the_limit_that_we_raise() -> None:
    assert "_prefetch_backoff" in Fetcher.__init__.__code__.co_names
