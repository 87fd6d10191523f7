"""The sender's small parts without any server: rounds, slots, the gate."""

import asyncio

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.error_codes import ThrottleScope
from streams.sender import claims
from streams.sender.gate import Gate
from streams.sender.intake import Window
from streams.sender.rounds import Rounds


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_comes_during_a_round_is_the_next_round() -> None:
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


async def test_the_window_gives_what_is_free_and_waits_for_the_first() -> None:
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


def test_a_throttle_holds_the_number_and_then_asks_for_less() -> None:
    clock = Clock()
    gate = Gate(100.0, clock=clock)
    assert gate.reserve("1") == (0.0, True)
    assert gate.throttled("1", ThrottleScope.NUMBER, None) == 1.0
    assert gate.reserve("1") == (1.0, False)
    assert gate.reserve("2") == (0.0, True)
    clock.now = 1.0
    waits = [gate.reserve("1") for _ in range(40)]
    assert all(is_permit for _, is_permit in waits)
    assert waits[-1][0] - waits[-2][0] == pytest.approx(1 / 70)


def test_a_throttle_of_the_account_holds_every_number() -> None:
    gate = Gate(100.0, clock=Clock())
    gate.throttled("1", ThrottleScope.ACCOUNT, 5.0)
    assert gate.reserve("2") == (5.0, False)
    assert gate.backlog_s("3") == 5.0


def test_accepted_messages_bring_the_rate_back() -> None:
    clock = Clock()
    gate = Gate(100.0, clock=clock)
    gate.throttled("1", ThrottleScope.NUMBER, None)
    clock.now = 2.0
    for _ in range(300):
        gate.answered("1")
    clock.now = 100.0
    waits = [gate.reserve("1")[0] for _ in range(20)]
    assert waits[-1] - waits[-2] == pytest.approx(1 / 100)


@given(st.floats(1, 1000), st.integers(1, 200))
def test_the_backlog_is_what_the_next_permit_would_wait(rate: float, permits: int) -> None:
    clock = Clock()
    gate = Gate(rate, clock=clock)
    for _ in range(permits):
        gate.reserve("1")
    backlog = gate.backlog_s("1")
    assert gate.reserve("1")[0] == pytest.approx(max(0.0, backlog + 1 / rate), abs=1 / rate)


async def test_what_fails_for_a_passing_reason_is_repeated_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RETRY_BASE_S", 0.001)
    errors: list[Exception] = [psycopg.errors.DeadlockDetected(), psycopg.OperationalError("gone")]
    tried: list[int] = []

    async def once() -> str:
        if errors:
            raise errors.pop()
        return "done"

    said = await claims.retrying("x", once, give_up_after_s=5, tried=lambda: tried.append(1))
    assert (said, len(tried)) == ("done", 2)


async def test_patience_ends_and_a_bug_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "RETRY_BASE_S", 0.001)
    calls: list[int] = []

    async def away() -> None:
        calls.append(1)
        raise psycopg.OperationalError("gone")

    async def wrong() -> None:
        calls.append(1)
        raise psycopg.errors.UndefinedTable

    with pytest.raises(claims.ClaimsUnreachable):
        await claims.retrying("x", away, give_up_after_s=0.01)
    assert len(calls) > 1
    calls.clear()
    with pytest.raises(psycopg.errors.UndefinedTable):
        await claims.retrying("x", wrong, give_up_after_s=5)
    assert len(calls) == 1


def test_the_clock_of_claims_goes_on_like_time() -> None:
    first = claims.boot_time()
    assert 0 <= claims.boot_time() - first < 5


def test_room_is_what_the_rate_gives_soon() -> None:
    gate = Gate(100, clock=lambda: 0.0)
    rooms = [gate.room("1", 0.4)]
    for _ in range(5 + 20):  # the burst, then a fifth of a second
        gate.reserve("1")
    rooms.append(gate.room("1", 0.4))
    for _ in range(20):
        gate.reserve("1")
    rooms.append(gate.room("1", 0.4))
    assert rooms == [40, 20, 0]


def test_an_idle_number_has_room_for_one_however_slow_it_is() -> None:
    gate = Gate(1, clock=lambda: 0.0)
    rooms = [gate.room("1", 0.4)]
    for _ in range(2):
        gate.reserve("1")
        rooms.append(gate.room("1", 0.4))
    assert rooms == [1, 1, 0]
