"""Serving an ASGI app on our own event loop, with granian's server embedded.

Our event loop owns the process, so signals, background tasks and the server end in the order that we choose.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from runtime.health import HEALTH
from runtime.process import Transient

HEADER_TIMEOUT_MS = 10_000
"""A client that has not sent its request line and headers within this time is disconnected."""
BACKLOG = 1024
"""Connections that the kernel holds until the server accepts them."""
CONNECTIONS_MAX = 10_000
"""Most open connections. With fewer, idle clients could keep webhooks out until `HEADER_TIMEOUT_MS` has passed."""
OTHER_FILES = 256
"""Open files that are no connections of clients: Kafka, Postgres, logs."""
CLOSE_DEADLINE_S = 10.0
ACCEPTING_POLL_S = 0.02


async def serve(
    app: Any, host: str, port: int, stop: asyncio.Event, interface: str = "asgi", *, is_port_shared: bool = False
) -> None:
    """Serve until `stop`, then finish the requests in flight. `asgi` runs the lifespan of the app, `asginl` does not.

    `is_port_shared`: other processes of this user may serve on the same port, and the system spreads the connections.
    Raises Transient when the port is taken or the server ends unexpectedly.
    """
    _require_free(host, port, is_shared=is_port_shared)
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces(interface),
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


def connections_max() -> int:
    """Most open connections, after raising this process's limit of open files as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - OTHER_FILES)


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


def _require_free(host: str, port: int, *, is_shared: bool) -> None:
    """Try the port first: on a taken port granian panics inside its own threads.

    granian's own socket shares its port always. So only this refuses a second process that is there by mistake.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Transient(f"port {port} on {host} cannot be used: {error.strerror}") from None
