"""A record that ends each process that handles it is found by counting, and its neighbours are handled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from runtime.process import Transient
from schemas.places import Record
from tests.support.exit_marks import KeptMarks
from topics.exits import EXITS_MAX, ExitGuard, ExitMark, begun


class Killed(BaseException):
    """The process ends here: no code of it runs any more."""


def records(partition: int, count: int, start: int = 0) -> list[Record]:
    return [Record("t", partition, offset, None, b"x") for offset in range(start, start + count)]


class Stage:
    """Starts process after process, as a supervisor does, and notes what was handled and condemned."""

    def __init__(self, failure: BaseException, culprit: tuple[int, int]) -> None:
        self.kept = KeptMarks()
        self.handled: list[tuple[int, int]] = []
        self.condemned: list[tuple[int, int]] = []
        self.starts = 0
        self._failure = failure
        self._culprit = culprit

    async def _handle(self, batch: Sequence[Record]) -> None:
        if self._culprit in [(record.partition, record.offset) for record in batch]:
            raise self._failure
        self.handled += [(record.partition, record.offset) for record in batch]

    async def _condemn(self, record: Record) -> None:
        self.condemned.append((record.partition, record.offset))

    async def start(self, batch: Sequence[Record]) -> bool:
        """Run a process on its first batch. Returns whether it survived."""
        self.starts += 1
        guard = ExitGuard(self.kept, self._handle, self._condemn)
        try:
            await guard.handle(batch)
        except (Killed, ZeroDivisionError, Transient):
            return False
        return True


async def test_a_record_that_kills_is_condemned_and_its_neighbours_are_handled() -> None:
    stage = Stage(Killed(), (0, 3))
    batch = records(0, 6)
    while not await stage.start(batch):
        assert stage.starts < 10, "the stage gets further"
    assert stage.starts == EXITS_MAX + 2
    assert stage.condemned == [(0, 3)]
    assert set(stage.handled) == {(0, offset) for offset in (0, 1, 2, 4, 5)}


async def test_a_record_that_raises_is_condemned_by_the_first_careful_process() -> None:
    stage = Stage(ZeroDivisionError(), (0, 3))
    while not await stage.start(records(0, 6)):
        assert stage.starts < 10, "the stage gets further"
    assert stage.starts == EXITS_MAX + 1
    assert stage.condemned == [(0, 3)]


async def test_only_the_record_that_kills_is_condemned_among_several_partitions() -> None:
    stage = Stage(Killed(), (1, 1))
    batch = [*records(0, 3), *records(1, 3), *records(2, 3)]
    while not await stage.start(batch):
        assert stage.starts < 10, "the stage gets further"
    assert stage.condemned == [(1, 1)]


async def test_a_dependency_that_is_away_condemns_nothing() -> None:
    stage = Stage(Transient("away"), (0, 0))
    for _ in range(12):
        assert not await stage.start(records(0, 2))
    assert stage.condemned == []
    assert stage.kept.marks[0].alone == -1


async def test_a_consumer_that_ends_while_a_record_is_handled_alone_condemns_nothing() -> None:
    """A rebalance or a stop cancels the handling. The record is not the reason."""
    stage = Stage(asyncio.CancelledError(), (0, 0))
    for _ in range(EXITS_MAX + 2):
        with pytest.raises(asyncio.CancelledError):
            await stage.start(records(0, 2))
    assert stage.condemned == []
    assert stage.kept.marks[0].alone == -1


async def test_only_the_partition_of_the_exits_is_handled_with_care() -> None:
    stage = Stage(Killed(), (1, 0))
    for at in range(EXITS_MAX):
        assert not await stage.start([*records(0, 1, at), *records(1, 3)])
    stage.handled.clear()
    assert not await stage.start([*records(0, 2, 9), *records(1, 3)])
    assert stage.handled == [(0, 9), (0, 10)], "they are handled together, before the others"


async def test_progress_starts_the_count_again() -> None:
    assert begun(None, 5) == ExitMark(5, 1)
    assert begun(ExitMark(5, 1), 5) == ExitMark(5, 2)
    assert begun(ExitMark(5, 4, alone=7), 5) == ExitMark(5, 5, alone=7)
    assert begun(ExitMark(5, 4, alone=7), 6) == ExitMark(6, 1)
    assert begun(ExitMark(5, 4, alone=7), 7) == ExitMark(7, 5, alone=7)


@pytest.mark.parametrize(("starts", "is_careful"), [(EXITS_MAX, False), (EXITS_MAX + 1, True)])
def test_care_begins_after_so_many_exits(starts: int, is_careful: bool) -> None:
    assert ExitMark(0, starts).is_careful == is_careful


async def test_a_healthy_process_writes_one_mark_for_a_partition() -> None:
    kept = KeptMarks()
    handled: list[Record] = []

    async def handle(batch: Sequence[Record]) -> None:
        handled.extend(batch)

    async def condemn(_record: Record) -> None:
        raise AssertionError

    guard = ExitGuard(kept, handle, condemn)
    for start in range(0, 100, 10):
        await guard.handle(records(0, 10, start))
    assert (kept.writes, len(handled)) == (1, 100)


async def test_a_record_alone_is_handled_with_what_follows_from_it() -> None:
    """The sender handles a job when it is claimed. Its post comes later, and may end the process too."""
    kept, together, alone = KeptMarks(), list[int](), list[int]()
    kept.marks[0] = ExitMark(0, EXITS_MAX)

    async def handle(batch: Sequence[Record]) -> None:
        together.extend(record.offset for record in batch)

    async def handle_alone(batch: Sequence[Record]) -> None:
        alone.extend(record.offset for record in batch)

    async def condemn(_record: Record) -> None:
        raise AssertionError

    await ExitGuard(kept, handle, condemn, handle_alone).handle([*records(0, 2), *records(1, 2)])
    assert (together, alone) == ([0, 1], [0, 1])
    assert kept.marks[0].alone == -1
