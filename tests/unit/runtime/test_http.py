"""A process that serves HTTP is ready when its port accepts connections, and not before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from runtime import http
from runtime.health import Health
from tests.support.processes import free_port


class LateServer:
    """A server that listens only when it is released."""

    begun = asyncio.Event()
    release = asyncio.Event()

    def __init__(self, _app: object, **options: Any) -> None:
        self._port = options["port"]
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        self.begun.set()
        await self.release.wait()
        async with await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", self._port):
            await self._stop.wait()

    def stop(self) -> None:
        self._stop.set()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_the_process_is_ready_when_the_port_accepts_connections(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    health, stop = Health(), asyncio.Event()
    monkeypatch.setattr(LateServer, "begun", asyncio.Event())
    monkeypatch.setattr(LateServer, "release", asyncio.Event())
    monkeypatch.setattr(http, "HEALTH", health)
    monkeypatch.setattr(http, "Server", LateServer)
    serving = asyncio.create_task(http.serve(object(), host, free_port(), stop))
    await LateServer.begun.wait()
    assert not health.checks()["started"]
    LateServer.release.set()
    async with asyncio.timeout(10):
        while not health.checks()["started"]:  # noqa: ASYNC110 - the state of a process has no event
            await asyncio.sleep(0.005)
    stop.set()
    await serving
