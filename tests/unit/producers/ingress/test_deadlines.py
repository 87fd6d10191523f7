"""Waits that end in time, that are overdue, and that are cancelled by another cause."""

from __future__ import annotations

import asyncio

import pytest

from producers.ingress.deadlines import Deadlines


async def wait_for(event: asyncio.Event, deadlines: Deadlines) -> str:
    task = deadlines.begin()
    try:
        await event.wait()
    except asyncio.CancelledError:
        if deadlines.is_overdue(task):
            return "overdue"
        raise
    finally:
        deadlines.end(task)
    return "in time"


async def test_a_wait_that_takes_too_long_ends_and_its_task_goes_on() -> None:
    deadlines = Deadlines(0.01)
    assert await wait_for(asyncio.Event(), deadlines) == "overdue"
    await asyncio.sleep(0)  # the task is not cancelled any more
    assert await wait_for(asyncio.Event(), deadlines) == "overdue"


async def test_each_wait_has_the_whole_time() -> None:
    deadlines, loop = Deadlines(0.1), asyncio.get_running_loop()
    first = asyncio.create_task(wait_for(asyncio.Event(), deadlines))
    await asyncio.sleep(0.05)
    began = loop.time()
    second = asyncio.create_task(wait_for(asyncio.Event(), deadlines))
    assert await first == "overdue"
    assert not second.done()
    assert await second == "overdue"
    assert loop.time() - began >= 0.1


async def test_a_wait_that_ends_in_time_is_forgotten() -> None:
    deadlines, event = Deadlines(0.02), asyncio.Event()
    event.set()
    assert await wait_for(event, deadlines) == "in time"
    await asyncio.sleep(0.05)  # a wait that is still watched would be cancelled now


async def test_a_cancellation_by_another_cause_is_passed_on() -> None:
    deadlines = Deadlines(0.02)
    waiting = asyncio.create_task(wait_for(asyncio.Event(), deadlines))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_of_two_cancellations_the_other_one_is_passed_on() -> None:
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(wait_for(asyncio.Event(), Deadlines(0)))
    await asyncio.sleep(0)
    loop.call_later(0, waiting.cancel)  # in the same turn of the loop as the timer of the deadline
    with pytest.raises(asyncio.CancelledError):
        await waiting
