"""Repeats a statement while Postgres is away, with backoff and a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from domain.backoff import exponential
from runtime import metrics
from runtime.process import Transient
from tables.database import is_transient

RETRY_BASE_S = 0.1
RETRY_CAP_S = 2.0

T = TypeVar("T")


class PostgresUnreachable(Transient):
    """Postgres did not answer within the caller's limit."""


async def retrying(
    stage: str,
    statement: str,
    once: Callable[[], Awaitable[T]],
    *,
    give_up_after_s: float,
    tried: Callable[[], None] = lambda: None,
) -> T:
    """Repeat `once` while it fails for a transient reason. `tried` is called after each failure.

    `stage` and `statement` name the caller in metrics and logs. Raises PostgresUnreachable after `give_up_after_s`
    seconds, and any error that is not transient at once.
    """
    deadline, tries = time.monotonic() + give_up_after_s, 0
    while True:
        try:
            return await once()
        except Exception as error:
            if not is_transient(error):
                raise
            tries += 1
            tried()
            metrics.RETRIES.labels(stage).inc()
            structlog.get_logger(stage).warning(
                "Postgres did not answer; the statement is retried",
                statement=statement,
                tries=tries,
                error=type(error).__name__,
            )
            if time.monotonic() > deadline:
                raise PostgresUnreachable(f"{statement}: {type(error).__name__}") from error
        await asyncio.sleep(exponential(tries, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S))
