"""The retries of a batch, and the clocks of the watchdog."""

import asyncio
from collections.abc import Sequence

import pytest

from runtime.process import Transient
from schemas.places import Record
from streams import faust_app
from streams.faust_app import Batches
from topics.dead_letter_limit import TooManyDeadLetters
from topics.watchdog import StallClocks

RECORDS = [Record("t", 0, 0, None, b"")]


class Handler:
    """Fails a given number of times, then succeeds."""

    def __init__(self, *failures: Exception) -> None:
        self.calls = 0
        self._failures = list(failures)

    async def __call__(self, _records: object) -> None:
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)


def batches(handler: Handler, stop: asyncio.Event | None = None, limit_s: float = 60.0) -> Batches:
    return Batches(handler, stop or asyncio.Event(), "test", retry_first_s=0.001, retry_limit_s=limit_s)


async def test_a_transient_failure_is_retried_until_it_succeeds() -> None:
    handler = Handler(Transient("a"), Transient("b"))
    await batches(handler).settle(RECORDS)
    assert handler.calls == 3


async def test_retries_end_at_the_limit() -> None:
    handler = Handler(*[Transient("away")] * 100)
    with pytest.raises(Transient):
        await batches(handler, limit_s=0.01).settle(RECORDS)
    assert handler.calls < 100


async def test_when_stopping_a_failed_batch_is_left_to_the_next_process() -> None:
    stop = asyncio.Event()
    stop.set()
    handler = Handler(Transient("away"))
    with pytest.raises(Transient):
        await batches(handler, stop).settle(RECORDS)
    assert handler.calls == 1


async def test_a_bug_is_not_retried() -> None:
    handler = Handler(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await batches(handler).settle(RECORDS)
    assert handler.calls == 1


async def test_too_many_dead_letters_halt_the_batch_until_the_stop() -> None:
    stop, beats = asyncio.Event(), 0

    def beat() -> None:
        nonlocal beats
        beats += 1
        stop.set()

    handler = Handler(TooManyDeadLetters("x"))
    with pytest.raises(Transient, match="halted"):
        await Batches(handler, stop, "test", beat=beat).settle(RECORDS)
    assert (handler.calls, beats) == (1, 1)


async def test_a_batch_at_the_limit_is_acknowledged_up_to_it_and_then_halts() -> None:
    records = [Record("t", 0, offset, None, b"") for offset in range(10)]
    done: list[int] = []
    acknowledged: list[int] = []

    async def handle(part: Sequence[Record]) -> None:
        if len(done) + len(part) > 7:
            raise TooManyDeadLetters("seven are the limit")
        done.extend(record.offset for record in part)

    stop = asyncio.Event()
    with pytest.raises(Transient, match="halted"):
        await Batches(handle, stop, "test", beat=stop.set).settle(
            records, lambda start, end: acknowledged.extend(range(start, end))
        )
    assert done == acknowledged == list(range(7))


def test_a_partition_with_lag_that_does_not_move_stalls() -> None:
    clocks = StallClocks()
    assert clocks.stalled_for(0, 5, 9, now=0.0) == 0.0
    assert clocks.stalled_for(0, 5, 20, now=30.0) == 30.0
    assert clocks.stalled_for(0, 6, 20, now=40.0) == 0.0
    assert clocks.stalled_for(0, 6, 20, now=50.0) == 10.0


def test_idle_reset_and_lost_partitions_restart_the_clock() -> None:
    clocks = StallClocks()
    clocks.stalled_for(0, 5, 9, now=0.0)
    assert clocks.stalled_for(0, 9, 9, now=10.0) == 0.0
    assert clocks.stalled_for(0, 9, 12, now=50.0) == 0.0
    clocks.reset()
    assert clocks.stalled_for(0, 9, 12, now=90.0) == 0.0
    clocks.keep(frozenset({1}))
    assert clocks.stalled_for(0, 9, 12, now=130.0) == 0.0


async def test_a_start_that_hangs_ends_for_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def start(self) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(faust_app, "START_LIMIT_S", 0.05)
    monkeypatch.setattr(faust_app, "START_PATIENCE_S", 0.05)
    async with asyncio.timeout(20.0):
        with pytest.raises(Transient, match="could not start"):
            await faust_app._started(Hanging(), asyncio.Event())
