"""Items that arrive during a round belong to the next round."""

import asyncio

import pytest

from streams.sender.rounds import Rounds


async def test_a_submission_during_a_round_belongs_to_the_next_round() -> None:
    rounds: list[list[int]] = []
    gate = asyncio.Event()

    async def work(items: list[int]) -> list[int]:
        rounds.append(items)
        await gate.wait()
        return [-item for item in items]

    commits: Rounds[int, int] = Rounds(work, linger_s=0, round_max=3)
    running = asyncio.create_task(commits.run())
    first = asyncio.create_task(commits.submit(1))
    while not rounds:  # noqa: ASYNC110 - one turn of the loop is what we wait for
        await asyncio.sleep(0)
    rest = [asyncio.create_task(commits.submit(item)) for item in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    gate.set()
    assert [await first, *[await each for each in rest]] == [-1, -2, -3, -4, -5]
    assert rounds == [[1], [2, 3, 4], [5]]
    running.cancel()


async def test_an_error_of_a_round_ends_the_rounds() -> None:
    async def work(items: list[int]) -> list[int]:
        raise ZeroDivisionError

    commits: Rounds[int, int] = Rounds(work, linger_s=0, round_max=3)
    waiting = asyncio.create_task(commits.submit(1))
    with pytest.raises(ZeroDivisionError):
        await commits.run()
    assert not waiting.done()
    waiting.cancel()


async def test_a_cancelled_submitter_does_not_disturb_its_round() -> None:
    gate = asyncio.Event()

    async def work(items: list[int]) -> list[int]:
        await gate.wait()
        return items

    commits: Rounds[int, int] = Rounds(work, linger_s=0, round_max=10)
    running = asyncio.create_task(commits.run())
    leaving, staying = asyncio.create_task(commits.submit(1)), asyncio.create_task(commits.submit(2))
    await asyncio.sleep(0)
    leaving.cancel()
    gate.set()
    assert await staying == 2
    running.cancel()


async def test_an_added_item_counts_until_its_round_has_ended() -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def work(items: list[int]) -> list[int]:
        begun.set()
        await gate.wait()
        return items

    commits: Rounds[int, int] = Rounds(work, linger_s=0, round_max=2)
    for item in range(3):
        commits.add(item)
    await commits.fewer_than(4)
    waiting = asyncio.create_task(commits.fewer_than(1))
    running = asyncio.create_task(commits.run())
    await begun.wait()
    assert not waiting.done()
    gate.set()
    await waiting
    running.cancel()


async def test_nobody_waits_for_rounds_that_have_ended() -> None:
    async def work(items: list[int]) -> list[int]:
        raise ZeroDivisionError

    commits: Rounds[int, int] = Rounds(work, linger_s=0, round_max=2)
    for item in range(5):
        commits.add(item)
    waiting = asyncio.create_task(commits.fewer_than(1))
    with pytest.raises(ZeroDivisionError):
        await commits.run()
    await waiting
