"""Waits for a condition, and fails at a deadline. No test sleeps for a fixed time instead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

DEADLINE_S = 30.0
T = TypeVar("T")


def eventually(find: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S, every_s: float = 0.05) -> T:
    """Return the first true value that `find` returns. At the deadline, fail and name `what`."""
    end = time.monotonic() + deadline_s
    while not (found := find()):
        assert time.monotonic() < end, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(every_s)
    return found


async def eventually_async(holds: Callable[[], Awaitable[bool]], deadline_s: float = DEADLINE_S) -> None:
    """Return when `holds` does. Fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not await holds():
        assert time.monotonic() < end, f"{holds} did not hold within {deadline_s:.0f} s"
        await asyncio.sleep(0.05)
