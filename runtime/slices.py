"""Long work of the event loop in slices, so that it also serves its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")


async def in_slices(items: Sequence[T], size: int) -> AsyncIterator[Sequence[T]]:
    """The items in order, `size` at a time. Other tasks run after each slice."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
        await asyncio.sleep(0)
