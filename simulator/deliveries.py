"""Sends the statuses when they are due: batched, signed, over a limited number of connections, repeated until a 200.

It records on each status how often it was sent and whether it was acknowledged. It makes no decision about messages.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from simulator.bodies import signature_of, webhook_body
from simulator.config import SimulatorConfig
from simulator.dice import Dice
from simulator.ledger import Entry, SentStatus
from simulator.plan import PlannedStatus

RETRY_FLOOR_S = 0.02
"""Shortest pause before a repetition, regardless of the time scale."""


@dataclass(slots=True, eq=False)
class Parcel:
    """One webhook POST. Each try sends the same bytes."""

    number: int
    body: bytes
    statuses: tuple[SentStatus, ...]
    first_at: float
    tries: int = 0


class Deliveries:
    """The queue of statuses to be sent, and its counters."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.secret = config.app_secret.get_secret_value().encode()
        self.due: list[tuple[float, int, SentStatus | Parcel]] = []
        self.sequence = 0
        self.parcels = 0
        self.wake = asyncio.Event()
        self.slots = asyncio.Semaphore(config.webhooks.concurrency)
        self.silent_until = 0.0
        self.planned = 0
        self.sent = 0
        self.pending = 0
        self.unacknowledged = 0
        self.given_up = 0

    def plan(self, entry: Entry, planned: Iterable[PlannedStatus]) -> None:
        """Queue the statuses of a message that is accepted now."""
        if self.config.webhook_url is None:
            return
        scale, now, wall = self.config.time_scale, asyncio.get_running_loop().time(), time.time()
        statuses = []
        for one in planned:
            status = SentStatus(
                entry, one.status, int(wall + one.happens_s / scale), one.code, one.with_callback, len(one.sent_s)
            )
            statuses.append(status)
            for sent_s in one.sent_s:
                self.pending += 1
                self.push(now + sent_s / scale, status)
        self.planned += len(statuses)
        entry.statuses = tuple(statuses)

    def push(self, due: float, item: SentStatus | Parcel) -> None:
        """Queue one item, and wake the loop if it is the next one."""
        self.sequence += 1
        heappush(self.due, (due, self.sequence, item))
        if self.due[0][1] == self.sequence:
            self.wake.set()

    def next_due_in_s(self) -> float | None:
        """Seconds until the next item is due; None if nothing waits."""
        if not self.due:
            return None
        now = asyncio.get_running_loop().time()
        return max(0.0, max(self.due[0][0], self.silent_until) - now)

    def silence(self, seconds: float) -> None:
        """Send nothing for so long; 0 ends the silence."""
        self.silent_until = asyncio.get_running_loop().time() + seconds
        self.wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        url = self.config.webhook_url
        if url is None:
            return
        concurrency = self.config.webhooks.concurrency
        timeout = ClientTimeout(total=self.config.webhooks.timeout_s or None)
        async with (
            ClientSession(connector=TCPConnector(limit=concurrency), timeout=timeout, trust_env=False) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                await self.slots.acquire()
                await self.wait_until_due()
                group.create_task(self.deliver(session, url, self.next_parcel()))

    async def wait_until_due(self) -> None:
        """Wait until a status is due, and until others that may share its batch can arrive."""
        loop, webhooks = asyncio.get_running_loop(), self.config.webhooks
        wait_s = webhooks.batch_wait / self.config.time_scale if webhooks.batch_statuses_max > 1 else 0.0
        while True:
            self.wake.clear()
            delay = None
            if self.due:
                due, _, item = self.due[0]
                delay = max(due + (wait_s if isinstance(item, SentStatus) else 0.0), self.silent_until) - loop.time()
                if delay <= 0.0:
                    return
            try:
                async with asyncio.timeout(delay):
                    await self.wake.wait()
            except TimeoutError:
                continue

    def next_parcel(self) -> Parcel:
        """The next POST that is due: a repetition, or a new one with all statuses that fit."""
        now = asyncio.get_running_loop().time()
        batch: list[SentStatus] = []
        room, dice = self.config.webhooks.batch_statuses_max, Dice(self.config.seed, "parcel", self.parcels)
        if dice.happens("single", self.config.webhooks.single_share):
            room = 1
        while self.due and self.due[0][0] <= now and len(batch) < room:
            item = self.due[0][2]
            if isinstance(item, Parcel):
                if batch:
                    break
                heappop(self.due)
                return item
            heappop(self.due)
            batch.append(item)
        self.parcels += 1
        self.pending -= len(batch)
        self.unacknowledged += 1
        in_entries = dice.happens("entries", self.config.webhooks.several_entries_share)
        return Parcel(self.parcels, webhook_body(self.config, batch, in_entries), tuple(batch), now)

    async def deliver(self, session: ClientSession, url: str, parcel: Parcel) -> None:
        """Send one POST once."""
        try:
            self.mark_sent(parcel)
            if await self.post(session, url, parcel.body):
                self.unacknowledged -= 1
                for status in parcel.statuses:
                    status.acknowledged = True
            else:
                self.retry(parcel)
        finally:
            self.slots.release()

    def mark_sent(self, parcel: Parcel) -> None:
        """Record the try before the bytes are sent, so that a receiver of a status finds it in the ledger."""
        at = time.time()
        parcel.tries += 1
        for status in parcel.statuses:
            if status.first_sent_at is None:
                status.first_sent_at = at
                self.sent += 1
            status.times_sent += 1

    async def post(self, session: ClientSession, url: str, body: bytes) -> bool:
        """Whether the receiver answered 200. Any other answer is a failure."""
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature_of(self.secret, body)}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return response.status == 200
        except (ClientError, TimeoutError, OSError):
            return False

    def retry(self, parcel: Parcel) -> None:
        """Queue a refused POST again: at once, then with doubling delays, until the retry window ends."""
        webhooks, scale, now = self.config.webhooks, self.config.time_scale, asyncio.get_running_loop().time()
        if now - parcel.first_at > webhooks.retry_window / scale:
            self.unacknowledged -= 1
            self.given_up += 1
            return
        delay = (
            min(webhooks.retry_first * 2.0 ** min(parcel.tries - 2, 60), webhooks.retry_max)
            if parcel.tries > 1
            else 0.0
        )
        jitter = 0.75 + 0.5 * Dice(self.config.seed, "retry", parcel.number).draw(str(parcel.tries))
        self.push(now + max(delay * jitter / scale, RETRY_FLOOR_S), parcel)
