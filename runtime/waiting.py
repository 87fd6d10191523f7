"""Waiting that a stop ends at once."""

from __future__ import annotations

import asyncio


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `seconds`, or until `stop` is set. Returns whether `stop` is set."""
    try:
        async with asyncio.timeout(seconds):  # `wait_for` would start a task
            await stop.wait()
    except TimeoutError:
        return stop.is_set()
    return True
