"""Long work in slices: nothing is lost, and others run in between."""

from __future__ import annotations

import asyncio

import pytest

from runtime.slices import in_slices


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_slices_are_the_items_in_order(count: int) -> None:
    found = [some async for some in in_slices(range(count), 2)]
    assert [each for some in found for each in some] == list(range(count))
    assert all(1 <= len(some) <= 2 for some in found)


async def test_another_task_runs_after_each_slice() -> None:
    seen: list[str] = []

    async def other() -> None:
        while True:
            seen.append("other")
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    async for some in in_slices("ab", 1):
        seen += some
    running.cancel()
    assert "other" in seen[seen.index("a") : seen.index("b")]
    assert "other" in seen[seen.index("b") :]
