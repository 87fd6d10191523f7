"""A pause ends after its time, or at once when the stop comes."""

from __future__ import annotations

import asyncio
import time

from runtime.waiting import pause


async def test_without_a_stop_the_pause_lasts_its_time() -> None:
    started = time.monotonic()
    assert await pause(asyncio.Event(), 0.05) is False
    assert time.monotonic() - started >= 0.04


async def test_a_stop_ends_the_pause_at_once() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await asyncio.wait_for(pause(stop, 60), 5) is True


async def test_an_earlier_stop_is_reported() -> None:
    stop = asyncio.Event()
    stop.set()
    assert await pause(stop, 60) is True
    assert await pause(stop, 0) is True


async def test_a_pause_of_zero_seconds_reports_no_stop() -> None:
    assert await pause(asyncio.Event(), 0) is False
