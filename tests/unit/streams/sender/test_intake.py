"""The window of sends in flight."""

import asyncio

from streams.sender.intake import Window


async def test_the_window_gives_its_free_slots_and_waits_for_the_first() -> None:
    window = Window(3)
    assert await window.take(2) == 2
    assert await window.take(5) == 1
    waiting = asyncio.create_task(window.take(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    window.give_back(2)
    assert await waiting == 2
    window.give_back(3)
    await window.empty()
    assert window.in_flight == 0
