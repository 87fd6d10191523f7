"""Long work in slices: nothing is lost, and others run in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runtime.slices import SLICES_MAX, in_slices, never


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_slices_are_the_items_in_order(count: int) -> None:
    found = [some async for some in in_slices(range(count), 2)]
    assert [each for some in found for each in some] == list(range(count))
    assert all(1 <= len(some) <= 2 for some in found)


async def slices_and_others(items: str, is_awaited: Callable[[], bool]) -> str:
    """The slices of one item each, and a dot for each group of turns of another task."""
    seen: list[str] = []

    async def other() -> None:
        while True:
            if seen[-1:] != ["."]:
                seen.append(".")
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    async for some in in_slices(items, 1, is_awaited):
        seen += some
    running.cancel()
    return "".join(seen)


async def test_another_task_runs_after_a_slice_if_somebody_waits_for_it() -> None:
    answers = iter([False, True, False])
    assert await slices_and_others("abc", lambda: next(answers)) == "ab.c"


async def test_other_tasks_run_after_some_slices_even_if_nobody_waits() -> None:
    assert await slices_and_others("x" * 2 * SLICES_MAX, never) == ("x" * SLICES_MAX + ".") * 2
