"""The pool of connections to the Cloud API, over real sockets and both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from schemas.reasons import TransportError
from streams.sender import http_pool
from streams.sender.http_connection import PostAnswer
from streams.sender.http_pool import PostPool, PostServer

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
OK = PostAnswer(200, b"ok", None)
LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])

Writer = asyncio.StreamWriter
NewLoop = Callable[[], asyncio.AbstractEventLoop]


class CloudServer:
    """A server that counts connections and requests. `answer` gets the writer of a request; `greeting` comes first."""

    def __init__(
        self, answer: Callable[[Writer], Awaitable[None]], tls: ssl.SSLContext | None = None, greeting: bytes = b""
    ) -> None:
        self._greeting = greeting
        self._answer = answer
        self._tls = tls
        self.connections = 0
        self.requests = 0
        self.port = 0
        self._serving: set[asyncio.Task[None] | None] = set()
        self.ended = asyncio.Event()
        """A client has ended a connection."""

    async def __aenter__(self) -> CloudServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*filter(None, self._serving), return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        self._serving.add(asyncio.current_task())
        try:
            writer.write(self._greeting)
            while True:
                await reader.readexactly(len(REQUEST))
                self.requests += 1
                await self._answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def accept(writer: Writer) -> None:
    writer.write(ANSWER)


async def accept_and_end(writer: Writer) -> None:
    writer.write(ANSWER)
    writer.close()


def pool_of(port: int, *, host: str = "127.0.0.1", is_tls: bool = False, connections: int = 4) -> PostPool:
    return PostPool(PostServer(host, port, is_tls), connections=connections, connect_s=2)


def run_in(new_loop: NewLoop, check: Callable[[], Any]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(asyncio.wait_for(check(), 20))


@LOOPS
def test_a_connection_serves_one_post_after_another(new_loop: NewLoop) -> None:
    async def check() -> None:
        async with CloudServer(accept) as server:
            pool = pool_of(server.port)
            assert [await pool.post(REQUEST, 5) for _ in range(20)] == [OK] * 20
            assert (server.connections, server.requests) == (1, 20)
            await pool.close()
            await server.ended.wait()

    run_in(new_loop, check)


@LOOPS
def test_no_more_connections_are_open_than_allowed(new_loop: NewLoop) -> None:
    async def check() -> None:
        async with CloudServer(accept) as server:
            pool = pool_of(server.port, connections=3)
            assert await asyncio.gather(*(pool.post(REQUEST, 5) for _ in range(50))) == [OK] * 50
            assert (server.connections <= 3, server.requests) == (True, 50)
            await pool.close()

    run_in(new_loop, check)


@LOOPS
def test_a_connection_that_the_server_has_closed_is_not_used(new_loop: NewLoop) -> None:
    async def check() -> None:
        async with CloudServer(accept_and_end) as server:
            pool = pool_of(server.port)
            for sent in range(1, 6):
                assert await pool.post(REQUEST, 5) == OK
                while pool._idle:  # noqa: ASYNC110 - until its end has come
                    await asyncio.sleep(0.001)
                assert server.connections == sent
            assert not pool._open
            await pool.close()

    run_in(new_loop, check)


@LOOPS
def test_a_server_that_speaks_first_gets_no_request(new_loop: NewLoop) -> None:
    async def check() -> None:
        async with CloudServer(accept, greeting=b"220 mail.example ESMTP\r\n") as server:
            pool = pool_of(server.port)
            found = [await pool.post(REQUEST, 5) for _ in range(5)]
            assert set(found) <= {TransportError.CONNECT, TransportError.DISCONNECT}
            await pool.close()

    run_in(new_loop, check)


async def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_pool, "KEEPALIVE_S", 0.01)
    monkeypatch.setattr(http_pool, "LOOK_S", 0.01)
    async with CloudServer(accept) as server:
        pool = pool_of(server.port)
        assert await pool.post(REQUEST, 5) == OK
        await asyncio.wait_for(server.ended.wait(), 5)
        assert await pool.post(REQUEST, 5) == OK
        assert server.connections == 2
        await pool.close()


async def test_a_slot_is_free_again_after_every_end() -> None:
    """The only slot is used by posts that fail, time out and are cancelled."""
    silent, hangs = asyncio.Event(), True

    async def answer(writer: Writer) -> None:
        if hangs:
            await silent.wait()
        await accept(writer)

    async with CloudServer(answer) as server:
        pool = pool_of(server.port, connections=1)
        assert await pool.post(REQUEST, 0.05) is TransportError.TIMEOUT
        posting = asyncio.create_task(pool.post(REQUEST, 5))
        while server.requests < 2:  # noqa: ASYNC110 - until it is on its way
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(pool.post(REQUEST, 0.05))
        assert await waiting is TransportError.POOL
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
        hangs = False
        assert await pool.post(REQUEST, 5) == OK
        assert server.requests == 3
        silent.set()
        await pool.close()


async def test_one_lookup_serves_all_connections_that_are_made_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    lookups: list[str] = []

    async with CloudServer(accept) as server:

        async def resolve(host: str, port: int, **_: object) -> list[Any]:
            lookups.append(host)
            await asyncio.sleep(0)
            stream = socket.SOCK_STREAM
            return [
                (socket.AF_INET6, stream, 6, "", ("100::1", port, 0, 0)),  # a prefix that discards all (RFC 6666)
                (socket.AF_INET, stream, 6, "", ("127.0.0.1", port)),
            ]

        monkeypatch.setattr(loop, "getaddrinfo", resolve)
        pool = pool_of(server.port, host="graph.example", connections=8)
        assert await asyncio.gather(*(pool.post(REQUEST, 5) for _ in range(8))) == [OK] * 8
        assert lookups == ["graph.example"]
        await pool.close()


@LOOPS
def test_a_server_must_prove_its_name(new_loop: NewLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)

    async def check() -> None:
        async with CloudServer(accept, tls) as server:
            untrusting = pool_of(server.port, host="localhost", is_tls=True)
            assert await untrusting.post(REQUEST, 5) is TransportError.CONNECT
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
            trusting = pool_of(server.port, host="localhost", is_tls=True)
            assert await asyncio.gather(*(trusting.post(REQUEST, 5) for _ in range(4))) == [OK] * 4
            assert await trusting.post(REQUEST, 5) == OK
            other_name = pool_of(server.port, is_tls=True)
            assert await other_name.post(REQUEST, 5) is TransportError.CONNECT
            assert server.requests == 5
            for pool in (untrusting, trusting, other_name):
                assert not pool._open or pool is trusting
                await pool.close()

    run_in(new_loop, check)
