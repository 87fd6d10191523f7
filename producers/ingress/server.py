"""Accepts connections on a port, bounds their number and their waits, and ends them in order."""

from __future__ import annotations

import asyncio
import socket
import time

import structlog

from producers.ingress.http1 import HttpConnection
from producers.ingress.request import RequestHandler
from runtime.health import HEALTH
from runtime.open_files import connections_max
from runtime.process import Transient

BACKLOG = 1024
"""Connections that the kernel holds until they are accepted."""
CROWDED_SHARE = 0.9
"""Above this share of the most connections, idle ones are ended sooner."""
ACCEPTED_AT_ONCE = 64
ACCEPT_PAUSE_S = 1.0
"""How long nothing is accepted when the system has no files or memory for another connection."""
SWEEP_S = 0.5
"""How often waits are checked. All limits of time have this tolerance."""
CLOSE_DEADLINE_S = 10.0


class HttpServer:
    """The connections of one port."""

    def __init__(self, handler: RequestHandler, listener: socket.socket, connections: int, body_s: float) -> None:
        self.now = time.monotonic()
        """See `http1.Clock`."""
        self._handler = handler
        self._listener = listener
        self._connections_max = connections
        self._body_s = body_s
        self._loop = asyncio.get_running_loop()
        self._connections: set[HttpConnection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_accepting = False
        self._is_stopping = False
        self._ended = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to accept connections. The returned task bounds their waits, and ends only by an exception."""
        self._listener.setblocking(False)
        self._sweeping = asyncio.create_task(self._sweep())
        self._accept_more()
        return self._sweeping

    async def stop(self, deadline_s: float = CLOSE_DEADLINE_S) -> None:
        """Accept nothing more, answer the requests that have come, and end every connection until the deadline."""
        self._is_stopping = True
        self._accept_no_more()
        self._listener.close()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._connections):
            connection.drain()
        self._ended.clear()
        try:
            if self._connections:
                await asyncio.wait_for(self._ended.wait(), deadline_s)
        except TimeoutError:
            structlog.get_logger("ingress").warning(
                "connections with a request were cut off", count=len(self._connections)
            )
            for connection in list(self._connections):
                connection.abort()
        finally:
            if self._sweeping is not None:
                self._sweeping.cancel()

    def lost(self, connection: HttpConnection) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._ended.set()
        if not self._is_accepting:
            self._accept_more()

    def _accept_more(self) -> None:
        if not self._is_stopping and not self._is_accepting:
            self._is_accepting = True
            self._loop.add_reader(self._listener, self._accept)

    def _accept_no_more(self) -> None:
        if self._is_accepting:
            self._is_accepting = False
            self._loop.remove_reader(self._listener)

    def _accept(self) -> None:
        """Accept what waits, up to the limit. The kernel holds the others."""
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._connections) >= self._connections_max:
                self._accept_no_more()
                return
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                structlog.get_logger("ingress").error("connections cannot be accepted", reason=error.strerror)
                self._accept_no_more()
                self._loop.call_later(ACCEPT_PAUSE_S, self._accept_more)
                return
            connection = HttpConnection(self._handler, self, self._body_s)
            self._connections.add(connection)
            task = self._loop.create_task(self._open(connection, accepted))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open(self, connection: HttpConnection, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:  # the client is gone already
            accepted.close()
            self.lost(connection)

    async def _sweep(self) -> None:
        """End the waits that have taken too long."""
        while True:
            self.now = time.monotonic()
            is_crowded = len(self._connections) > self._connections_max * CROWDED_SHARE
            for connection in list(self._connections):
                if self.now - connection.since > connection.limit_s(is_crowded=is_crowded):
                    connection.expire()
            await asyncio.sleep(SWEEP_S)


async def serve_webhooks(
    handler: RequestHandler, host: str, port: int, stop: asyncio.Event, body_s: float, *, is_port_shared: bool = False
) -> None:
    """Serve until `stop`, then finish the requests that have come. `body_s`: how long a body may take.

    `is_port_shared`: other processes of this user may serve on the same port, and the system spreads the connections.
    Raises Transient when the port is taken.
    """
    server = HttpServer(handler, _listening(host, port, is_port_shared=is_port_shared), connections_max(), body_s)
    sweeping = server.start()
    HEALTH.started()
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({stopping, sweeping}, return_when=asyncio.FIRST_COMPLETED)
        if sweeping.done():
            await sweeping
    finally:
        stopping.cancel()
        await server.stop()


def _listening(host: str, port: int, *, is_port_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=is_port_shared)
    except OSError as error:
        raise Transient(f"port {port} on {host} cannot be used: {error.strerror}") from None
