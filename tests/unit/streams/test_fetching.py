"""A backlog is requested without pauses, and records that come all the time are requested with pauses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from faust.transport.drivers import aiokafka
from faust.types import TP

from runtime.settings import Settings
from streams import faust_app
from streams.faust_app import Consumption
from streams.fetching import paced

SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": "postgresql://x"})
PARTITION = TP("some.topic", 3)
LONG_S = 3600.0
BROKER, OTHER = 1, 2


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


def test_aiokafka_has_the_request_that_we_pace() -> None:
    assert "_proc_fetch_request" in vars(Fetcher)
    assert "_proc_fetch_request" in Fetcher._fetch_requests_routine.__code__.co_names


class Requests:
    """Requests that are answered at once. `brings`: whether each brings records."""

    def __init__(self, *, brings: bool = True) -> None:
        self.sent: list[int] = []
        self.brings = brings

    async def send(self, _assignment: Any, broker: int, _content: Any) -> bool:
        self.sent.append(broker)
        return self.brings


async def test_a_request_pauses_after_an_answer_with_records() -> None:
    requests = Requests()
    request = paced(requests.send, lambda: False, 0.05)
    started = time.monotonic()
    assert [await request(None, BROKER, None) for _ in range(3)] == [True, True, True]
    assert time.monotonic() - started >= 0.09  # two pauses
    assert requests.sent == [BROKER] * 3


@pytest.mark.parametrize(("brings", "has_backlog", "brokers"), [
    (False, False, [BROKER, BROKER, BROKER]),
    (True, True, [BROKER, BROKER, BROKER]),
    (True, False, [BROKER, OTHER]),
])  # fmt: skip
async def test_nothing_pauses_without_records_in_a_backlog_or_for_another_broker(
    brings: bool, has_backlog: bool, brokers: list[int]
) -> None:
    requests = Requests(brings=brings)
    request = paced(requests.send, lambda: has_backlog, LONG_S)
    async with asyncio.timeout(5):
        assert [await request(None, broker, None) for broker in brokers] == [brings] * len(brokers)
    assert requests.sent == brokers


async def test_a_request_that_is_cancelled_in_its_pause_is_not_sent_and_brings_nothing() -> None:
    requests = Requests()
    request = paced(requests.send, lambda: False, LONG_S)
    assert await request(None, BROKER, None)
    pausing = asyncio.ensure_future(request(None, BROKER, None))
    await asyncio.sleep(0)
    pausing.cancel()
    assert await pausing is False
    assert requests.sent == [BROKER]
