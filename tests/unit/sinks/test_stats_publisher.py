"""The stats publisher stalls only while both servers answer."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from runtime.process import EXIT_TRANSIENT
from runtime.pulse import Pulse
from runtime.settings import Settings
from sinks import stats_publisher
from tables import database, leadership
from topics import clients

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate(
    {"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x", "stall_limit_s": 1.2}
)
DEADLINE_S = 20.0


async def test_a_stats_publisher_without_servers_is_not_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    tried = asyncio.Semaphore(0)
    monkeypatch.setattr(stats_publisher, "Pulse", functools.partial(Pulse, end=ends.append))
    monkeypatch.setattr(stats_publisher.log, "warning", lambda *_, **__: tried.release(), raising=False)
    stop = asyncio.Event()
    running = asyncio.create_task(stats_publisher.run(SETTINGS, stop))
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(5):  # with its pauses that is longer than the limit
            await tried.acquire()
    stop.set()
    await running
    assert ends == []


@pytest.mark.parametrize("is_kafka_there", [True, False])
async def test_a_stalled_stats_publisher_ends_only_while_both_servers_answer(
    is_kafka_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, checked = threading.Semaphore(0), threading.Semaphore(0)
    ends: list[int] = []

    def end(code: int) -> None:
        ends.append(code)
        ended.release()

    def answers() -> bool:
        checked.release()
        return is_kafka_there

    async def stand(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(stats_publisher, "Pulse", functools.partial(Pulse, end=end))
    monkeypatch.setattr(clients, "answering", lambda _settings: answers)
    monkeypatch.setattr(database, "answering", lambda _settings: lambda: True)
    monkeypatch.setattr(leadership, "connect", stand)
    running = asyncio.create_task(stats_publisher.run(SETTINGS, asyncio.Event()))
    waited = ended if is_kafka_there else checked
    assert await asyncio.to_thread(waited.acquire, timeout=DEADLINE_S)
    if not is_kafka_there:
        assert await asyncio.to_thread(checked.acquire, timeout=DEADLINE_S), "checked again after another limit"
    running.cancel()
    assert set(ends) == ({EXIT_TRANSIENT} if is_kafka_there else set())
