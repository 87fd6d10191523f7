"""A loop without work waits for a look that finds some, and for nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from producers.scheduler import work
from producers.scheduler.work import WorkWatch
from tables.leadership import Leader
from tables.work import EVERY, WorkKind

PLANS, RETURNS = frozenset({WorkKind.PLANS}), frozenset({WorkKind.RETURNS})


class Looks:
    """What the looks find. `passed` returns after so many more of them."""

    def __init__(self) -> None:
        self.found: frozenset[WorkKind] = frozenset()
        self._count = 0
        self._looked = asyncio.Condition()

    async def find(self, _connection: object) -> frozenset[WorkKind]:
        async with self._looked:
            self._count += 1
            self._looked.notify_all()
        return self.found

    async def passed(self, more: int = 2) -> None:
        async with self._looked:
            end = self._count + more
            await self._looked.wait_for(lambda: self._count >= end)


@asynccontextmanager
async def looking(looks: Looks, stop: asyncio.Event) -> AsyncIterator[WorkWatch]:
    connection: Any = None
    watch = WorkWatch(look_s=0.001)
    running = asyncio.create_task(watch.run(Leader(connection), stop))
    try:
        await looks.passed()
        yield watch
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    found = Looks()
    monkeypatch.setattr(work, "find_work", found.find)
    return found


async def test_a_loop_waits_until_there_is_work_of_its_kind(looks: Looks) -> None:
    stop = asyncio.Event()
    idle: list[None] = []
    note: Callable[[], None] = lambda: idle.append(None)  # noqa: E731 - it is passed on
    async with asyncio.timeout(30), looking(looks, stop) as watch:
        planning = asyncio.create_task(watch.next_round(stop, PLANS, 0, note))
        looks.found = RETURNS
        assert await watch.next_round(stop, RETURNS, 0) == RETURNS
        await looks.passed()
        assert not planning.done()
        assert idle, "a waiting loop shows that it is not stalled"
        looks.found = PLANS | RETURNS
        assert await planning == PLANS
        assert await watch.next_round(stop, PLANS, 0) == PLANS, "with work a loop goes on at its own pace"


async def test_before_the_first_look_there_may_be_anything() -> None:
    assert await WorkWatch().next_round(asyncio.Event(), EVERY, 0) == EVERY


async def test_a_stop_ends_the_wait(looks: Looks) -> None:
    stop = asyncio.Event()
    async with asyncio.timeout(30), looking(looks, stop) as watch:
        waiting = asyncio.create_task(watch.next_round(stop, PLANS, 0))
        await looks.passed()
        assert not waiting.done()
        stop.set()
        assert await waiting is None
        assert await watch.next_round(stop, PLANS, 0) is None
