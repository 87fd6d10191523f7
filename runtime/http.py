"""Serving an ASGI app on our own event loop, with granian's server embedded.

Our event loop owns the process, so signals, background tasks and the server end in the order that we choose.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from runtime.health import HEALTH
from runtime.open_files import connections_max
from runtime.process import Transient

HEADER_TIMEOUT_MS = 10_000
"""A client that has not sent its request line and headers within this time is disconnected."""
BACKLOG = 1024
"""Connections that the kernel holds until the server accepts them."""
CLOSE_DEADLINE_S = 10.0
ACCEPTING_POLL_S = 0.02


async def serve(app: Any, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop`, then finish the requests in flight.

    Raises Transient when the port is taken or the server ends unexpectedly.
    """
    _require_free(host, port)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=connections_max(),
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        log_enabled=False,
    )
    serving = asyncio.ensure_future(server.serve())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await _until_accepting(host, port, serving, stopping)
        HEALTH.started()
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await serving
            raise Transient(f"the HTTP server on port {port} ended unexpectedly")
        server.stop()  # type: ignore[no-untyped-call]
        try:
            await asyncio.wait_for(serving, CLOSE_DEADLINE_S)
        except TimeoutError:
            raise Transient("requests in flight did not end in time") from None
    finally:
        for task in (serving, stopping):
            task.cancel()


async def _until_accepting(host: str, port: int, *others: asyncio.Future[Any]) -> None:
    """Wait until the server accepts connections, or one of the others has ended.

    granian listens some time after its start. A process that is ready before would get requests that nobody accepts.
    """
    reachable = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it binds nothing
    while not any(other.done() for other in others):
        try:
            _, writer = await asyncio.open_connection(reachable, port)
        except OSError:
            await asyncio.sleep(ACCEPTING_POLL_S)
        else:
            writer.close()
            return


def _require_free(host: str, port: int) -> None:
    """Try the port first: on a taken port granian panics inside its own threads.

    granian's own socket shares its port always. So only this refuses a second process that is there by mistake.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Transient(f"port {port} on {host} cannot be used: {error.strerror}") from None
