"""Holds the claims while webhooks that are more than 60 s old may not be applied: opt-outs may be among them.

The scheduler's leader watches how far the webhooks are applied (`producers.scheduler.webhook_age`). The sender reads
the age once a second. Jobs in hand wait; they are neither claimed nor given back, and expire at their `send_before`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from domain.webhook_age import WEBHOOK_AGE_MAX_S
from runtime import metrics
from streams.sender.claims import CLAIM_PATIENCE_S
from streams.sender.stage import STAGE
from tables import webhook_progress
from tables.database import Pool
from tables.retrying import retrying

READ_EVERY_S = 1.0
LOG_EVERY_S = 30.0

_log = structlog.get_logger(STAGE)


class WebhookAge:
    """The age as it was read last. One instance serves all numbers of a process."""

    def __init__(self, pool: Pool, progressed: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._progressed = progressed
        self._reading = asyncio.Lock()
        self._age_s: float | None = None
        self._read_at = -READ_EVERY_S
        self._log_at = 0.0
        self._is_stopped = False

    async def wait(self, unless_closed: Callable[[], Awaitable[None]]) -> None:
        """Return when claims are allowed. `unless_closed` is called on the way and may raise.

        Raises PostgresUnreachable if Postgres stays away.
        """
        while await self._is_too_old():
            self._report()
            self._progressed()  # a declared stop is no stall
            await unless_closed()
            await asyncio.sleep(READ_EVERY_S)
        if self._is_stopped:
            self._is_stopped = False
            metrics.SENDER_CLAIMS_STOPPED.set(0)
            _log.info("the webhooks are applied; claims go on")

    async def _is_too_old(self) -> bool:
        async with self._reading:
            if time.monotonic() - self._read_at >= READ_EVERY_S:
                self._age_s = await retrying(
                    STAGE, "read the age of webhooks", self._read, give_up_after_s=CLAIM_PATIENCE_S,
                    tried=self._progressed,
                )  # fmt: skip
                self._read_at = time.monotonic()
        return self._age_s is not None and self._age_s > WEBHOOK_AGE_MAX_S

    async def _read(self) -> float | None:
        async with self._pool.connection() as connection:
            return await webhook_progress.read_age(connection)

    def _report(self) -> None:
        self._is_stopped = True
        metrics.SENDER_CLAIMS_STOPPED.set(1)
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + LOG_EVERY_S
            _log.error(
                "claims stop: webhooks may not be applied, and opt-outs may be among them;"
                " check the reconciler, the sink and the scheduler",
                applied_until_s_ago=round(self._age_s or 0.0),
                limit_s=WEBHOOK_AGE_MAX_S,
            )
