"""The connections of a port, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from producers.ingress import server as module
from producers.ingress.http1 import HttpConnection
from producers.ingress.replies import ACCEPTED, TOO_SLOW
from producers.ingress.request import Request
from producers.ingress.server import HttpServer, serve_webhooks
from runtime.process import Transient
from tests.support.http_client import head, post
from tests.support.processes import free_port

BODY_S = 0.05


class Waiting:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[Request] = asyncio.Queue()

    def begin(self, request: Request) -> None: ...

    def receive(self, request: Request, count: int) -> None: ...

    def complete(self, request: Request) -> None:
        self.requests.put_nowait(request)

    def abandon(self, request: Request, *, is_slow: bool) -> None:
        request.answer(TOO_SLOW)

    def fail(self, request: Request) -> None: ...


@asynccontextmanager
async def running(handler: Waiting, connections: int = 10) -> AsyncIterator[tuple[HttpServer, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(handler, listener, connections, BODY_S)
    server.start()
    async with asyncio.timeout(20):
        yield server, listener.getsockname()[1]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def test_connections_above_the_limit_wait_for_one_that_ends() -> None:
    handler = Waiting()
    async with running(handler, connections=1) as (server, port):
        async with connected(port) as (_, first):
            first.write(post(b"", b"s"))
            request = await handler.requests.get()
            second, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(post(b"", b"s"))
            request.answer(ACCEPTED)
        (await handler.requests.get()).answer(ACCEPTED)
        assert (await second.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
        await server.stop()


async def test_a_slow_body_is_refused_when_its_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_S", 0.01)
    async with running(Waiting()) as (server, port):
        async with connected(port) as (reader, writer):
            writer.write(head(b"POST", b"/", {b"content-length": b"9"}))
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        await server.stop()


async def test_a_stop_answers_the_requests_that_have_come_and_ends_every_connection() -> None:
    handler = Waiting()
    async with running(handler) as (server, port), connected(port) as (idle, _), connected(port) as (busy, writer):
        writer.write(post(b"", b"s"))
        request = await handler.requests.get()
        stopping = asyncio.create_task(server.stop())
        assert await idle.read() == b""
        assert not stopping.done()
        request.answer(ACCEPTED)
        await stopping
        assert (await busy.read()).startswith(b"HTTP/1.1 200")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_stop_cuts_off_what_does_not_end_in_time() -> None:
    handler = Waiting()
    async with running(handler) as (server, port), connected(port) as (reader, writer):
        writer.write(post(b"", b"s"))
        await handler.requests.get()
        await server.stop(deadline_s=0.01)
        assert await reader.read() == b""


async def test_a_taken_port_is_transient() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(Transient, match="cannot be used"),
    ):
        await serve_webhooks(Waiting(), "127.0.0.1", taken.getsockname()[1], asyncio.Event(), BODY_S)


async def test_a_sweep_that_raises_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(_connection: object, **_given: object) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "SWEEP_S", 0.01)
    monkeypatch.setattr(HttpConnection, "limit_s", raises)
    port = free_port()
    serving = asyncio.create_task(serve_webhooks(Waiting(), "127.0.0.1", port, asyncio.Event(), BODY_S))
    await asyncio.sleep(0)
    async with connected(port):
        with pytest.raises(ZeroDivisionError):
            async with asyncio.timeout(20):
                await serving
