"""Counts and times every request by its operation and status, also those that are refused before a route runs."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime import metrics

NO_OPERATION = "none"
"""The operation of a path that no route has, and of a request that was refused before it reached one."""
NO_ANSWER = "none"
"""The status of a request whose client left before the answer began."""

STREAM_TYPE = "text/event-stream"
"""A stream lasts as long as its page is open, so its duration says nothing about the API."""


class Measuring:
    """The outermost middleware. An operation is the name of a route, so its values are as few as the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status, is_stream = NO_ANSWER, False

        async def sending(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = str(message["status"])
                is_stream = Headers(raw=message["headers"]).get("content-type", "").startswith(STREAM_TYPE)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if status == NO_ANSWER:  # the server answers a bug outside of every middleware
                status = "500"
            raise
        finally:
            operation = getattr(scope.get("route"), "name", NO_OPERATION)
            metrics.API_REQUESTS.labels(operation, status).inc()
            if not is_stream:
                metrics.API_REQUEST_SECONDS.labels(operation).observe(time.perf_counter() - started)
