"""The connections to the Cloud API: how many may be open, how they are made, and which one posts the next request.

A post takes the connection that was used last, so the others end when they have been idle for long. Addresses are kept
for a while, because hundreds of connections are opened at the same time. `aiohappyeyeballs` tries the next address of a
host soon (RFC 8305), so one family of addresses that does not work delays a connection by a quarter of a second.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from aiohappyeyeballs import AddrInfoType, start_connection

from schemas.reasons import TransportError
from streams.sender.http_connection import PostAnswer, PostConnection

KEEPALIVE_S = 10.0
"""Shorter than the server's, because a post on a connection that the server has just closed has an unknown outcome."""
LOOK_S = 1.0
"""Between two looks for connections that have been idle for so long."""
ADDRESSES_S = 10.0
"""How long the addresses of a host are used before they are looked up again."""
SECOND_ADDRESS_S = 0.25
"""After so long without a connection the next address is tried too."""


@dataclass(frozen=True, slots=True)
class PostServer:
    """The server that is posted to."""

    host: str
    port: int
    is_tls: bool


class PostPool:
    """Posts to one server over a limited number of connections, from the running event loop, until it is closed.

    `connect_s`: the limit for getting a free connection, and for connecting.
    """

    def __init__(self, server: PostServer, *, connections: int, connect_s: float) -> None:
        self._server = server
        self._connect_s = connect_s
        self._slots = asyncio.Semaphore(connections)
        self._idle: dict[PostConnection, None] = {}
        """In the order in which they became free."""
        self._open: set[PostConnection] = set()
        self._changed = asyncio.Event()
        """A connection has ended."""
        self._tls = ssl.create_default_context() if server.is_tls else None
        self._addresses: Sequence[AddrInfoType] = ()
        self._addresses_until = 0.0
        self._resolving = asyncio.Lock()
        self._ending = asyncio.get_running_loop().call_later(LOOK_S, self._end_idle)

    async def close(self) -> None:
        """Close every connection, and return when they are closed. Nothing is posted meanwhile."""
        self._ending.cancel()
        for connection in list(self._open):
            connection.close()
        while self._open:
            self._changed.clear()
            await self._changed.wait()

    async def post(self, request: bytes, timeout_s: float) -> PostAnswer | TransportError:
        """Send the bytes of one request once, and return its answer, or the error that ended it.

        `timeout_s` bounds all of it. The errors CONNECT and POOL mean that nothing has left.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        try:
            connection = await self._connection(min(self._connect_s, timeout_s))
        except (OSError, RuntimeError):  # errors of TLS and of the name, and timeouts; uvloop raises RuntimeError too
            return TransportError.CONNECT
        if connection is None:
            return TransportError.POOL
        try:
            return await connection.post(request, until)
        finally:
            self._slots.release()

    async def _connection(self, limit_s: float) -> PostConnection | None:
        """A connection that nobody else uses, with a slot; None if no slot was free in time. Raises OSError."""
        if not self._slots.locked() and (idle := self._newest_idle()):  # most of them wait for nothing
            await self._slots.acquire()
            return idle
        has_slot = False
        try:
            async with asyncio.timeout(limit_s):
                has_slot = await self._slots.acquire()
                return self._newest_idle() or await self._connected()
        except BaseException as error:
            if has_slot:
                self._slots.release()
            elif isinstance(error, TimeoutError):
                return None
            raise

    def _newest_idle(self) -> PostConnection | None:
        while self._idle:
            connection, _ = self._idle.popitem()
            if connection.is_open:
                return connection
        return None

    async def _connected(self) -> PostConnection:
        loop = asyncio.get_running_loop()
        connected = await start_connection(await self._resolved(), happy_eyeballs_delay=SECOND_ADDRESS_S)
        connection = PostConnection(self._freed, self._ended)
        server_name = self._server.host if self._tls else None
        try:
            await loop.create_connection(lambda: connection, sock=connected, ssl=self._tls, server_hostname=server_name)
        except BaseException:
            connected.close()  # unless the event loop owns it already; then this does nothing
            raise
        if connection.is_open:  # the server may have closed it at once
            self._open.add(connection)
        return connection

    async def _resolved(self) -> Sequence[AddrInfoType]:
        """The addresses of the server. One lookup serves all connections that are made meanwhile."""
        loop = asyncio.get_running_loop()
        async with self._resolving:
            if loop.time() >= self._addresses_until:
                self._addresses = await loop.getaddrinfo(self._server.host, self._server.port, type=socket.SOCK_STREAM)
                self._addresses_until = loop.time() + ADDRESSES_S
            return self._addresses

    def _freed(self, connection: PostConnection) -> None:
        self._idle[connection] = None

    def _ended(self, connection: PostConnection) -> None:
        self._idle.pop(connection, None)
        self._open.discard(connection)
        self._changed.set()

    def _end_idle(self) -> None:
        """Close connections that have been idle for long, and do it again later."""
        loop = asyncio.get_running_loop()
        for connection in list(self._idle):
            if loop.time() - connection.idle_since < KEEPALIVE_S:
                break
            del self._idle[connection]
            connection.close()
        self._ending = loop.call_later(LOOK_S, self._end_idle)
