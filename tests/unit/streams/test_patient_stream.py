"""The stream waits for its first event without a clock, and misses no event and no stop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import faust

from streams.patient_stream import PatientStream

TURNS = 20


async def nothing() -> AsyncIterator[Any]:
    return
    yield


def stream() -> PatientStream:
    app = faust.App("test", loop=asyncio.get_running_loop(), broker="kafka://127.0.0.1:1", store="memory://")
    return PatientStream(nothing(), app=app)


async def turn() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def notes(source: PatientStream, value: str) -> str:
    processor: Any = source._processors[0]
    result: str = processor(value)
    return result


async def test_the_time_of_a_batch_begins_with_its_first_event() -> None:
    source, full = stream(), asyncio.Event()
    waiting = asyncio.create_task(source.wait_for_stopped(full, timeout=0))
    await turn()
    assert not waiting.done()
    assert notes(source, "value") == "value"
    await waiting


async def test_an_event_that_came_during_a_batch_is_not_missed() -> None:
    source, full = stream(), asyncio.Event()
    notes(source, "during the batch")
    await asyncio.wait_for(source.wait_for_stopped(full, timeout=0), 10)
    waiting = asyncio.create_task(source.wait_for_stopped(full, timeout=0))
    await turn()
    assert not waiting.done(), "the event is counted once"
    waiting.cancel()


async def test_a_full_batch_does_not_wait_for_the_time() -> None:
    source, full = stream(), asyncio.Event()
    notes(source, "value")
    full.set()
    assert not await asyncio.wait_for(source.wait_for_stopped(full, timeout=3600), 10)


async def test_a_stop_ends_the_wait_for_a_first_event() -> None:
    source, full = stream(), asyncio.Event()
    waiting = asyncio.create_task(source.wait_for_stopped(full, timeout=0))
    await turn()
    source._stopped.set()
    assert await asyncio.wait_for(waiting, 10)
