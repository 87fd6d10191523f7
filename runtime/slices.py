"""Long work of the event loop in slices, so that it also serves its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

TURNS = 6
"""How often others run after a slice. An answer of Postgres passes four callbacks before its caller runs. With one turn
after a slice, it would wait for four slices."""

T = TypeVar("T")


async def in_slices(items: Sequence[T], size: int) -> AsyncIterator[Sequence[T]]:
    """The items in order, `size` at a time. Other tasks run after each slice."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        for _ in range(TURNS):
            await asyncio.sleep(0)
