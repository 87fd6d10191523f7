"""Reading ahead: the next batch is decoded while one is written, and no partition is given away before it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
import pytest

from runtime.settings import Settings
from schemas.places import Place, Record, TopicIdentity
from schemas.topics import Topic
from sinks import sink
from sinks.batch import Moves
from sinks.letters import BatchLetters
from sinks.sink import Sink
from tables import offsets
from topics.exits import ExitMark
from topics.identity import Identities

NOWHERE = "127.0.0.1:1"
SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": NOWHERE, "database_url": f"postgresql://x@{NOWHERE}/x"})
IDENTITY = TopicIdentity("cluster", "recipient.events", "id")
BATCHES = [[Record("recipient.events", 0, 2 * n + at, None, b"") for at in range(2)] for n in range(3)]


class Intake:
    """Returns the batches one after the other, then nothing."""

    def __init__(self, settled: Callable[[], Any]) -> None:
        self.positions = {0: 0}
        self.awaited: frozenset[int] = frozenset()
        self.settled = settled
        self._left = list(BATCHES)

    async def open(self) -> None:
        pass

    async def take(self) -> Sequence[Record]:
        await asyncio.sleep(0)
        return self._left.pop(0) if self._left else []

    def advance(self, moved: Mapping[int, int]) -> None:
        self.positions.update(moved)

    async def close(self) -> None:
        pass


class Marks:
    """No mark is known. `careful`: the partition's processes have ended again and again."""

    def __init__(self, *, careful: bool) -> None:
        self._starts = 100 if careful else 0

    async def read(self, partitions: Sequence[int]) -> Mapping[int, ExitMark]:
        return {partition: ExitMark(0, self._starts) for partition in partitions}

    async def write(self, marks: Mapping[int, ExitMark]) -> None:
        pass


class Connection:
    async def close(self) -> None:
        pass

    def has_answer(self) -> bool:
        return False


class Moved(psycopg.Error):
    """Another sink has advanced the partition."""

    sqlstate = offsets.MOVED_STATE


class Writer:
    """Logs what it does. Each write waits for `may_end`."""

    def __init__(self, stop: asyncio.Event) -> None:
        self.connection: Any = Connection()
        self.log: list[str] = []
        self.may_end = asyncio.Event()
        self.foresaw_second = asyncio.Event()
        self.most = 1_000
        """Most records that it writes together."""
        self.refuses: list[Moved] = []
        self._stop = stop

    async def foresee(self, records: Sequence[Record]) -> Sequence[Record]:
        self.log.append(f"foresee {records[0].offset}")
        if records[0].offset == BATCHES[1][0].offset:
            self.foresaw_second.set()
        return records[: self.most] if len(records) > self.most else records

    async def write(self, records: Sequence[Record], moves: Moves, condemned: Place | None = None) -> None:
        self.log.append(f"write {records[0].offset}")
        await self.may_end.wait()
        if self.refuses:
            raise self.refuses.pop()
        self.log.append(f"wrote {records[-1].offset}")
        if records[-1] == BATCHES[-1][-1]:
            self._stop.set()

    async def apply_held(self) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def intakes(monkeypatch: pytest.MonkeyPatch) -> list[Intake]:
    """The intakes that sinks open."""
    opened: list[Intake] = []

    def opens(*arguments: Any) -> Intake:
        opened.append(Intake(arguments[4]))
        return opened[-1]

    class Watchdog:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def start(self) -> None:
            pass

        stop = start

    monkeypatch.setattr(sink, "RecordIntake", opens)
    monkeypatch.setattr(sink, "Watchdog", Watchdog)
    return opened


def a_sink(monkeypatch: pytest.MonkeyPatch, *, careful: bool) -> tuple[Sink, Writer]:
    monkeypatch.setattr(sink, "KafkaExitMarks", lambda *_: Marks(careful=careful))
    stop = asyncio.Event()
    writer = Writer(stop)
    letters: Any = BatchLetters(None)  # type: ignore[arg-type]
    return Sink(SETTINGS, stop, "sink", Topic.RECIPIENT_EVENTS, Identities(SETTINGS), IDENTITY, letters, writer), writer


async def test_the_next_batch_is_decoded_while_one_is_written(
    intakes: list[Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, writer = a_sink(monkeypatch, careful=False)
    running = asyncio.create_task(made.consume())
    await writer.foresaw_second.wait()
    assert writer.log == ["foresee 0", "write 0", "foresee 2"]
    writer.may_end.set()
    await running
    assert [line for line in writer.log if not line.startswith("foresee")] == [
        "write 0", "wrote 1", "write 2", "wrote 3", "write 4", "wrote 5"
    ]  # fmt: skip
    assert intakes[0].positions == {0: 6}


async def test_a_writer_may_take_a_part_of_the_records(intakes: list[Intake], monkeypatch: pytest.MonkeyPatch) -> None:
    made, writer = a_sink(monkeypatch, careful=False)
    writer.most = 1
    writer.may_end.set()
    await made.consume()
    assert [line for line in writer.log if line.startswith("write")] == [f"write {offset}" for offset in range(6)]
    assert intakes[0].positions == {0: 6}


async def test_a_part_that_was_read_before_another_sink_had_the_partition_is_not_written(
    intakes: list[Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, writer = a_sink(monkeypatch, careful=False)
    writer.most = 1
    writer.refuses.append(Moved())
    writer.may_end.set()
    await made.consume()
    assert [line for line in writer.log if line.startswith("wr")] == ["write 0"]
    await made.consume()
    assert [line for line in writer.log if line.startswith("write")][1:] == [f"write {offset}" for offset in range(6)]
    assert intakes[1].positions == {0: 6}


async def test_no_partition_is_given_away_while_its_batch_is_written(
    intakes: list[Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, writer = a_sink(monkeypatch, careful=False)
    running = asyncio.create_task(made.consume())
    await writer.foresaw_second.wait()
    leaving = asyncio.create_task(intakes[0].settled())
    await asyncio.sleep(0)
    assert not leaving.done()
    writer.may_end.set()
    await leaving
    assert "wrote 1" in writer.log
    await running


async def test_records_that_are_handled_one_by_one_are_not_decoded_ahead(
    intakes: list[Intake], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, writer = a_sink(monkeypatch, careful=True)
    writer.may_end.set()
    await made.consume()
    assert [line for line in writer.log if line.startswith("foresee")] == []
    assert intakes[0].positions == {0: 6}
