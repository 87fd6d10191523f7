"""Long work of the event loop in slices, so that it also serves its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

TURNS = 6
"""How often others run after a slice. An answer of Postgres passes four callbacks before its caller runs. With one turn
after a slice, it would wait for four slices."""
SLICES_MAX = 8
"""Slices after which others run, even if nobody waits for them."""

T = TypeVar("T")


def never() -> bool:
    """Nobody waits."""
    return False


async def in_slices(
    items: Sequence[T], size: int, is_awaited: Callable[[], bool] = never
) -> AsyncIterator[Sequence[T]]:
    """The items in order, `size` at a time.

    Other tasks run after a slice if `is_awaited` returns that one of them can go on, and after each SLICES_MAX slices.
    To call it takes less time than to let others run, so that slices may be small.
    """
    for number, start in enumerate(range(0, len(items), size), 1):
        yield items[start : start + size]
        if number % SLICES_MAX == 0 or is_awaited():
            await let_others_run()


async def let_others_run() -> None:
    """Let a task go on whose answer has arrived."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
