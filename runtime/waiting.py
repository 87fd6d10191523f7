"""Waiting that a stop ends at once."""

from __future__ import annotations

import asyncio


async def waited(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until `stop`; returns whether it is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
