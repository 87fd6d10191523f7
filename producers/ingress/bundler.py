"""Group commit: many webhook bodies, one record, one acknowledgement.

With nothing in flight, a body is sent at once, with those that the loop reads in the same turn. Otherwise bodies gather
until the acknowledgement in flight returns, 10 ms pass, the bundle is full, or the next body would make it too large.
A bundle is settled as a whole, because a future for each body would cost as much as the check of its signature. No
order is kept, because none is needed.

`streams.sender.rounds.Rounds` differs: its items wait for a result of their own, and a failure ends it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar, cast

from runtime import metrics
from schemas.bundles import BODIES_MAX, BODY_OVERHEAD_BYTES, BYTES_MAX, Body, encode_bundle

GATHER_S = 0.010

Publish = Callable[[bytes], Awaitable[None]]
"""It returns when the record is durable, and raises when that is not known."""
Item = TypeVar("Item")
"""The owner of a body."""
Settle = Callable[[Sequence[Item], Exception | None], None]
"""Takes the owners of the bodies of a bundle, and what `publish` raised for it. None: the bundle is durable."""


class Bundler(Generic[Item]):
    """Gathers bodies into bundles. It belongs to one event loop."""

    def __init__(self, publish: Publish, settle: Settle[Item], gather_s: float = GATHER_S) -> None:
        self._publish = publish
        self._settle = settle
        self._gather_s = gather_s
        self._bodies: list[Body] = []
        self._items: list[Item] = []
        self._gathered_bytes = 0
        self._timer: asyncio.Handle | None = None
        self._in_flight: set[asyncio.Task[None]] = set()

    def add(self, body: Body, item: Item) -> None:
        """Take a body. Its item is settled when the bundle is durable, or has failed."""
        size = len(body.raw) + BODY_OVERHEAD_BYTES
        if self._bodies and self._gathered_bytes + size > BYTES_MAX:
            self._send()
        self._bodies.append(body)
        self._items.append(item)
        self._gathered_bytes += size
        if len(self._bodies) >= BODIES_MAX or self._gathered_bytes >= BYTES_MAX:
            self._send()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            if self._in_flight:
                self._timer = loop.call_later(self._gather_s, self._send)
            else:
                self._timer = loop.call_soon(self._send)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._bodies:
            return
        task = asyncio.get_running_loop().create_task(self._commit(self._bodies, self._items))
        self._bodies, self._items, self._gathered_bytes = [], [], 0
        self._in_flight.add(task)

    async def _commit(self, bodies: list[Body], items: list[Item]) -> None:
        failure: Exception | None = None
        try:
            await self._publish(encode_bundle(bodies))
        except Exception as error:  # noqa: BLE001 - every owner receives it
            failure = error
        self._in_flight.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        self._send()
        await asyncio.sleep(0)  # Kafka gets the next bundle first, and stores it while these requests are answered
        if failure is None:
            _measure(bodies)
        self._settle(items, failure)


def _measure(bodies: Sequence[Body]) -> None:
    now_us = time.time_ns() // 1000
    metrics.INGRESS_BUNDLES.inc()
    metrics.INGRESS_BUNDLE_BODIES.observe(len(bodies))
    metrics.INGRESS_ACK_SECONDS.observe_many([(now_us - body.received_at_us) / 1e6 for body in bodies])
