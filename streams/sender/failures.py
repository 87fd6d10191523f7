"""Stops the claims after two senders of a host ended by a bug before any answer.

A bug that ends the process leaves every open claim `unknown`. The supervisor restarts the process at once, and each run
would spend the messages that it claims. So the next run opens the breaker of the endpoint, and the campaigns pause
until an operator resumes one. A process that is killed from outside does not count.
"""

from __future__ import annotations

import socket

import structlog

from domain.breakers import Scope
from runtime.process import EXIT_BUG, exit_code
from streams.sender.stage import STAGE
from tables import breakers, sender_failures
from tables.database import Pool, is_transient
from tables.retrying import retrying

FAILURES_MAX = 2
REASON = "two senders ended by a bug before any answer; read their logs"
PATIENCE_S = 30.0

_log = structlog.get_logger(STAGE)


class Failures:
    """What this run knows of itself, and what earlier runs of this host have recorded."""

    def __init__(self, pool: Pool, host: str | None = None) -> None:
        self._pool = pool
        self._host = host or socket.gethostname()
        self.has_claimed = False
        self.is_answered = False

    async def check(self) -> None:
        """At the start: open the breaker if enough runs ended before any answer. Raises PostgresUnreachable."""
        ended = await retrying(STAGE, "check failures", self._take, give_up_after_s=PATIENCE_S)
        if ended:
            _log.error(
                "senders ended by a bug before any answer, so nothing is claimed;"
                " resume a campaign once the cause is gone",
                senders=ended,
            )

    async def _take(self) -> int:
        async with self._pool.connection() as connection, connection.transaction():
            ended = await sender_failures.take(connection, self._host, FAILURES_MAX)
            if ended:
                await breakers.open_by_operator(connection, Scope.ENDPOINT, "", REASON)
            return ended

    async def record(self, error: BaseException) -> None:
        """At the end: record a bug that came after a claim and before any answer. It hides no other error."""
        if exit_code(error) != EXIT_BUG or not self.has_claimed or self.is_answered:
            return
        try:
            async with self._pool.connection() as connection:
                await sender_failures.add(connection, self._host)
        except Exception as unrecorded:
            if not is_transient(unrecorded):
                raise
            _log.warning("the end of this sender is not recorded", error=type(unrecorded).__name__)
