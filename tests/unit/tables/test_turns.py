"""Batches of one list take effect in its order: their times ascend, and each waits for the one before."""

from __future__ import annotations

import asyncio

import pytest

from tables import turns
from tables.turns import OutOfTurn, Turn


async def test_the_times_of_batches_ascend_whatever_the_clock_says() -> None:
    first = Turn()
    second = Turn(first)
    third = Turn(second)
    waiting = asyncio.create_task(second.begin(900))
    await first.begin(1000)
    await waiting
    await third.begin(2000)
    assert [each.time_ms for each in (first, second, third)] == [1000, 1001, 2000]


async def test_a_batch_that_inserted_nobody_keeps_the_order() -> None:
    first = Turn()
    second = Turn(first)
    third = Turn(second)
    await first.begin(1000)
    first.end()
    second.end()
    await third.begin(900)
    assert third.time_ms == 1001


async def test_a_turn_comes_when_the_batch_before_has_ended() -> None:
    first = Turn()
    second = Turn(first)
    await first.comes_soon()
    waiting = asyncio.create_task(second.comes())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.end()
    await waiting
    await second.comes_soon()


async def test_a_transaction_waits_for_its_turn_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "HELD_S", 0)
    with pytest.raises(OutOfTurn):
        await Turn(Turn()).comes_soon()
