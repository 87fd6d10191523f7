"""The HTTP server of each process for its platform: `/health`, `/ready` and `/metrics`.

It runs in a thread of its own, so that it answers also while the event loop is blocked. It shows neither secrets nor
people, and it accepts no data.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from runtime import metrics
from runtime.health import HEALTH, Health
from runtime.settings import Settings

JSON = "application/json"
REQUEST_TIMEOUT_S = 5.0
"""A client that has not sent its request within this time is disconnected."""
LOOK_S = 3600.0
"""Pause between two looks of the server for its end. The default of half a second wakes each process twice a second."""


class PortTaken(OSError):
    """Another program listens on the port of the probes."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], health: Health, alive_limit_s: float) -> None:
        self.health = health
        self.alive_limit_s = alive_limit_s
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_TIMEOUT_S
    server_version = "campaigns"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer one of the three paths."""
        match urlsplit(self.path).path:
            case "/health":
                is_alive = self.server.health.is_alive(self.server.alive_limit_s)
                self._say({"status": "alive" if is_alive else "blocked"}, is_good=is_alive)
            case "/ready":
                checks = self.server.health.checks()
                is_ready = all(checks.values())
                self._say({"status": "ready" if is_ready else "not_ready", "checks": checks}, is_good=is_ready)
            case "/metrics":
                metrics.READY.set(self.server.health.is_ready())
                self._answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.exposition())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"the paths are /health, /ready and /metrics\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
        """Write no line per probe."""

    def _say(self, body: dict[str, object], *, is_good: bool) -> None:
        status = HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, JSON, json.dumps(body).encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


class Probes:
    """The running server."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, args=(LOOK_S,), name="probes", daemon=True).start()

    def close(self) -> None:
        """Stop listening. Connections wake the server, so that it notices."""
        ending = threading.Thread(target=self._server.shutdown, daemon=True)
        ending.start()
        while ending.is_alive():
            with suppress(OSError):
                socket.create_connection((str(self._server.server_address[0]), self.port), 1.0).close()
            ending.join(0.01)
        self._server.server_close()


def serve(settings: Settings, health: Health = HEALTH) -> Probes | None:
    """Serve the probes at CAMPAIGNS_METRICS_HOST and CAMPAIGNS_METRICS_PORT; port 0 turns them off.

    Raises PortTaken.
    """
    if settings.metrics_port == 0:
        return None
    try:
        return Probes(_Server((settings.metrics_host, settings.metrics_port), health, settings.stall_limit_s))
    except OSError as error:
        raise PortTaken(
            f"CAMPAIGNS_METRICS_PORT: port {settings.metrics_port} on {settings.metrics_host} cannot be used: "
            f"{error.strerror}"
        ) from error
