"""Connections that serve plain sends themselves, and leave every other request to the general server (aiohttp's).

A plain send needs little of HTTP, and aiohttp's server was a third of its CPU: the simulator shares its machine with
the pipeline that is measured. The first request that is no plain send takes its connection to the general server, with
the bytes that have come. Then the general server serves it to its end.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from simulator.answers import answer_head
from simulator.checks.messages import is_mark_as_read
from simulator.heads import HEAD_BYTES_MAX, read_head
from simulator.messages import SendSteps
from simulator.open_sends import OpenSend
from simulator.posts import SendPost, parsed

AHEAD_BYTES_MAX = 64 * 1024
"""Bytes that may come before an answer until the connection is not read on."""
HEAD_END = b"\r\n\r\n"
FAILURE = b"500 Internal Server Error\n\nServer got itself in trouble"
log = logging.getLogger(__name__)


class SendConnections:
    """The open connections that serve plain sends."""

    def __init__(self, steps: SendSteps, general: Callable[[], asyncio.Protocol]) -> None:
        self.steps = steps
        self.loop = asyncio.get_running_loop()
        """Kept, because Python 3.11 asks the system for the process id at each look for the running loop."""
        self.general = general
        """Makes a connection of the general server."""
        self._open: set[SendConnection] = set()
        self._closed = asyncio.Event()

    def accept(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return SendConnection(self)

    def add(self, connection: SendConnection) -> None:
        """The connection is open."""
        self._open.add(connection)

    def remove(self, connection: SendConnection) -> None:
        """The connection is closed, or the general server has it."""
        self._open.discard(connection)
        if not self._open:
            self._closed.set()

    async def close(self, grace_s: float) -> None:
        """End each connection after its open send. What is open after this time is cut."""
        for connection in list(self._open):
            connection.end()
        try:
            async with asyncio.timeout(grace_s):
                while self._open:
                    self._closed.clear()
                    await self._closed.wait()
        except TimeoutError:
            for connection in list(self._open):
                connection.cut()


class SendConnection(asyncio.Protocol):
    """One connection. It serves one send after another."""

    __slots__ = ("_connections", "_is_ending", "_is_paused", "_is_writing_paused", "_received", "_send", "_transport")

    def __init__(self, connections: SendConnections) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._received = b""
        """The bytes of the next requests, from the beginning of the first one."""
        self._send: OpenSend | None = None
        """The send that waits for its answer."""
        self._is_paused = False
        self._is_writing_paused = False
        self._is_ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclass
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._received = self._received + data if self._received else data
        if self._send is None:
            self._read()
        elif len(self._received) > AHEAD_BYTES_MAX and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read its answers. The general server asks for it, if it gets the connection."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """The client has read its answers."""
        self._is_writing_paused = False

    def connection_lost(self, _error: Exception | None) -> None:
        """The connection is closed. An open send is abandoned."""
        send, self._send, self._transport = self._send, None, None
        self._connections.remove(self)
        if send is not None:
            send.abandon()

    def end(self) -> None:
        """Close the connection after its open send."""
        self._is_ending = True
        if self._send is None and self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self) -> None:
        """Serve the next request, if it has come completely."""
        received, transport = self._received, self._transport
        if self._send is not None or transport is None or transport.is_closing() or not received:
            return
        empty_line = received.find(HEAD_END, 0, HEAD_BYTES_MAX)
        head_end = empty_line + len(HEAD_END)
        head = read_head(received[:head_end]) if empty_line >= 0 else None
        if head is None:
            self._hand_over(transport)
            return
        end = head_end + head.body_bytes
        if len(received) < end:
            return
        body, broken = parsed(received[head_end:end])
        if is_mark_as_read(body):
            self._hand_over(transport)
            return
        self._received = received[end:]
        post, shared = SendPost(head, body, broken, transport), self._connections
        self._send = OpenSend(shared.steps, post, shared.loop, self._ended)
        self._send.start()

    def _ended(self, error: Exception | None) -> None:
        """The open send is answered, or cannot be answered."""
        self._send, transport = None, self._transport
        if transport is None or transport.is_closing():
            return
        if error is not None:
            self._fail(transport, error)
            return
        if self._is_ending:
            transport.close()
            return
        if self._is_paused:
            self._is_paused = False
            transport.resume_reading()
        if self._received:
            self._connections.loop.call_soon(self._read)  # not at once: sends without latency would nest

    def _fail(self, transport: asyncio.Transport, error: Exception) -> None:
        """Answer 500, because the code is wrong, and close the connection."""
        log.error("a send could not be answered, because the simulator has a mistake", exc_info=error)
        transport.write(answer_head(500, "text/plain; charset=utf-8", len(FAILURE), False, {}) + FAILURE)
        transport.close()

    def _hand_over(self, transport: asyncio.Transport) -> None:
        """Give the connection and what has come to the general server."""
        general, received = self._connections.general(), self._received
        self._transport, self._received = None, b""
        self._connections.remove(self)
        transport.set_protocol(general)
        general.connection_made(transport)
        if self._is_writing_paused:
            general.pause_writing()
        general.data_received(received)
