"""Sends the statuses when they are due, as signed webhooks. Each webhook is retried until the receiver answers 200.

It records on each status how often it was sent and whether it was acknowledged. `simulator/plan.py` has decided which
statuses are sent, and when.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from simulator.bodies import signature_of, webhook_body
from simulator.config import SimulatorConfig
from simulator.draws import SeededDraws
from simulator.ledger import LedgerEntry, SentStatus
from simulator.plan import PlannedStatus

RETRY_FLOOR_S = 0.02
"""Shortest pause before a retry, for any `time_scale`."""


@dataclass(slots=True, eq=False)
class WebhookPost:
    """One webhook POST. Each try sends the same bytes."""

    number: int
    body: bytes
    statuses: tuple[SentStatus, ...]
    first_at: float
    tries: int = 0


class Deliveries:
    """The queue of due statuses and retries, and its counters."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._secret = config.app_secret.get_secret_value().encode()
        self._due: list[tuple[float, int, SentStatus | WebhookPost]] = []
        self._sequence = 0
        self.posts = 0
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(config.webhooks.concurrency)
        self._paused_until = 0.0
        self.planned = 0
        self.sent = 0
        self.pending = 0
        self.unacknowledged = 0
        self.given_up = 0

    def plan(self, entry: LedgerEntry, planned: Iterable[PlannedStatus]) -> None:
        """Queue the statuses of a message that is accepted now."""
        if self._config.webhook_url is None:
            return
        scale, now, wall = self._config.time_scale, time.monotonic(), time.time()
        statuses = []
        for one in planned:
            status = SentStatus(
                entry, one.status, int(wall + one.happens_s / scale), one.code, one.with_callback, len(one.sent_s)
            )
            statuses.append(status)
            for sent_s in one.sent_s:
                self.pending += 1
                self._push(now + sent_s / scale, status)
        self.planned += len(statuses)
        entry.statuses = tuple(statuses)

    def send(self, body: bytes) -> None:
        """Queue one webhook without statuses, which is due now."""
        if self._config.webhook_url is None:
            return
        now = time.monotonic()
        self.posts += 1
        self.unacknowledged += 1
        self._push(now, WebhookPost(self.posts, body, (), now))

    def _push(self, due: float, item: SentStatus | WebhookPost) -> None:
        """Queue one item, and wake the loop if this item is the next one."""
        self._sequence += 1
        heappush(self._due, (due, self._sequence, item))
        if self._due[0][1] == self._sequence:
            self._wake.set()

    def next_due_in_s(self) -> float | None:
        """The seconds until the next item is due, or None if the queue is empty."""
        if not self._due:
            return None
        now = time.monotonic()
        return max(0.0, max(self._due[0][0], self._paused_until) - now)

    def pause(self, seconds: float) -> None:
        """Send no webhooks for this time. 0 seconds end the pause."""
        self._paused_until = time.monotonic() + seconds
        self._wake.set()

    async def run(self) -> None:
        """Send webhooks until cancelled."""
        url = self._config.webhook_url
        if url is None:
            return
        concurrency = self._config.webhooks.concurrency
        timeout = ClientTimeout(total=self._config.webhooks.timeout_s or None)
        async with (
            ClientSession(
                connector=TCPConnector(limit=concurrency), timeout=timeout, cookie_jar=DummyCookieJar()
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                await self._slots.acquire()
                await self._wait_until_due()
                group.create_task(self._deliver(session, url, self._next_post()))

    async def _wait_until_due(self) -> None:
        """Wait until an item is due. A status also waits `batch_wait` for others of the same batch."""
        webhooks = self._config.webhooks
        wait_s = webhooks.batch_wait / self._config.time_scale if webhooks.batch_statuses_max > 1 else 0.0
        while True:
            self._wake.clear()
            delay = None
            if self._due:
                due, _, item = self._due[0]
                due += wait_s if isinstance(item, SentStatus) else 0.0
                delay = max(due, self._paused_until) - time.monotonic()
                if delay <= 0.0:
                    return
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _next_post(self) -> WebhookPost:
        """The next POST that is due: a retry, or a new one with as many due statuses as fit."""
        now = time.monotonic()
        batch: list[SentStatus] = []
        room, draws = self._config.webhooks.batch_statuses_max, SeededDraws(self._config.seed, "parcel", self.posts)
        if draws.happens("single", self._config.webhooks.single_share):
            room = 1
        while self._due and self._due[0][0] <= now and len(batch) < room:
            item = self._due[0][2]
            if isinstance(item, WebhookPost):
                if batch:
                    break
                heappop(self._due)
                return item
            heappop(self._due)
            batch.append(item)
        self.posts += 1
        self.pending -= len(batch)
        self.unacknowledged += 1
        in_entries = draws.happens("entries", self._config.webhooks.several_entries_share)
        return WebhookPost(self.posts, webhook_body(self._config, batch, in_entries), tuple(batch), now)

    async def _deliver(self, session: ClientSession, url: str, post: WebhookPost) -> None:
        """Send one POST once."""
        try:
            self._mark_sent(post)
            if await self._send(session, url, post.body):
                self.unacknowledged -= 1
                for status in post.statuses:
                    status.acknowledged = True
            else:
                self._retry(post)
        finally:
            self._slots.release()

    def _mark_sent(self, post: WebhookPost) -> None:
        """Record the try before the bytes are sent, so that a receiver of a status finds it in the ledger."""
        at = time.time()
        post.tries += 1
        for status in post.statuses:
            if status.first_sent_at is None:
                status.first_sent_at = at
                self.sent += 1
            status.times_sent += 1

    async def _send(self, session: ClientSession, url: str, body: bytes) -> bool:
        """Send a POST. Returns whether the receiver answered 200. Any other answer is a failure."""
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature_of(self._secret, body)}
        try:
            async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return response.status == 200
        except (ClientError, TimeoutError, OSError):
            return False

    def _retry(self, post: WebhookPost) -> None:
        """Queue a failed POST again: first without a delay, then with doubling delays, until the retry window ends."""
        webhooks, scale, now = self._config.webhooks, self._config.time_scale, time.monotonic()
        if now - post.first_at > webhooks.retry_window / scale:
            self.unacknowledged -= 1
            self.given_up += 1
            return
        delay = (
            min(webhooks.retry_first * 2.0 ** min(post.tries - 2, 60), webhooks.retry_max) if post.tries > 1 else 0.0
        )
        jitter = 0.75 + 0.5 * SeededDraws(self._config.seed, "retry", post.number).draw(str(post.tries))
        self._push(now + max(delay * jitter / scale, RETRY_FLOOR_S), post)
