"""The pauses between requests for records."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from streams.fetching import paced

LONG_S = 3600.0
BROKER, OTHER = 1, 2


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
