"""Group commit: many webhook bodies, one record, one acknowledgement.

With nothing in flight, a body is sent at once. Otherwise bodies gather until the acknowledgement in flight returns,
10 ms pass, the bundle is full, or the next body would make it too large. Each caller returns when its bundle is
durable. No order is kept, because none is needed.

`streams.sender.rounds.Rounds` differs: its items wait for a result of their own, and a failure ends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from runtime import metrics
from schemas.bundles import BODIES_MAX, BODY_OVERHEAD_BYTES, BYTES_MAX, Body, encode_bundle

GATHER_S = 0.010

Publish = Callable[[bytes], Awaitable[None]]
"""It returns when the record is durable, and raises when that is not known."""


class Bundler:
    """Gathers bodies into bundles. It belongs to one event loop."""

    def __init__(self, publish: Publish, gather_s: float = GATHER_S) -> None:
        self._publish = publish
        self._gather_s = gather_s
        self._gathered: list[tuple[Body, asyncio.Future[None]]] = []
        self._gathered_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: set[asyncio.Task[None]] = set()

    async def commit(self, body: Body) -> None:
        """Return when the body is durable. Raises what `publish` raised for its bundle."""
        loop = asyncio.get_running_loop()
        durable: asyncio.Future[None] = loop.create_future()
        size = len(body.raw) + BODY_OVERHEAD_BYTES
        if self._gathered and self._gathered_bytes + size > BYTES_MAX:
            self._send()
        self._gathered.append((body, durable))
        self._gathered_bytes += size
        if not self._in_flight or len(self._gathered) >= BODIES_MAX or self._gathered_bytes >= BYTES_MAX:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._gather_s, self._send)
        await durable

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._gathered:
            return
        bundle, self._gathered, self._gathered_bytes = self._gathered, [], 0
        task = asyncio.get_running_loop().create_task(self._settle(bundle))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._send()

    async def _settle(self, bundle: list[tuple[Body, asyncio.Future[None]]]) -> None:
        try:
            await self._publish(encode_bundle([body for body, _ in bundle]))
        except Exception as error:  # noqa: BLE001 - every caller receives it
            failure: Exception | None = error
        else:
            failure = None
            metrics.INGRESS_BUNDLES.inc()
            metrics.INGRESS_BUNDLE_BODIES.observe(len(bundle))
            now_us = time.time_ns() // 1000
            for body, _ in bundle:
                metrics.INGRESS_ACK_SECONDS.observe((now_us - body.received_at_us) / 1e6)
        for _, durable in bundle:
            if durable.done():  # the client has disconnected
                continue
            if failure is None:
                durable.set_result(None)
            else:
                durable.set_exception(failure)
