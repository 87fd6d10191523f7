"""The last net for a record that ends the process: a crash in C, too much memory, or a loop that the watchdog ends.

Everything that raises is dead-lettered where it is raised. A process that is killed cannot do that, and its successor
meets the same record. So the starts of processes at one offset are counted. After three exits there, records are
handled one by one for a while. A record that raises then, or that ends the process again, is dead-lettered as `bug`.

The count is the metadata of an offset that Kafka keeps for a group of its own, `<group>.exits`. A stage therefore needs
nothing but Kafka for it. If Kafka does not store a count, the net is missing for that moment and the work goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import orjson
import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from runtime.process import Transient
from runtime.settings import Settings
from schemas.places import Record
from topics.clients import observer_config
from topics.dead_letter_limit import TooManyDeadLetters

EXITS_MAX = 3
CAREFUL_RECORDS = 1000
"""How many records of a partition are handled one by one after too many exits."""
TIMEOUT_S = 10.0
NOT_ALONE = -1
ENDS_PROCESSES = "the record ended the process that handled it"
"""The error text of such a dead letter."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExitMark:
    """What is known of the processes that began at one offset of a partition."""

    offset: int
    starts: int
    """How many processes began there, the present one included."""
    alone: int = NOT_ALONE
    """The record that the last process handled alone when it ended."""

    @property
    def is_careful(self) -> bool:
        """Whether so many processes have ended here that records are handled one by one."""
        return self.starts > EXITS_MAX


def begun(stored: ExitMark | None, offset: int) -> ExitMark:
    """The mark of a process that begins at an offset.

    A stage that stores its offsets at once begins at the very record that its predecessor handled alone.
    """
    if stored is None or offset not in (stored.offset, stored.alone):
        return ExitMark(offset, 1)
    return replace(stored, offset=offset, starts=stored.starts + 1)


class ExitMarks(Protocol):
    """Where marks are kept, by partition."""

    async def read(self, partitions: Iterable[int]) -> Mapping[int, ExitMark]:
        """The marks of these partitions. Partitions without a mark are missing."""
        ...

    async def write(self, marks: Mapping[int, ExitMark]) -> None:
        """Store marks."""
        ...


class KafkaExitMarks:
    """Keeps the marks of a stage as metadata of committed offsets."""

    def __init__(self, settings: Settings, stage: str, topic: str) -> None:
        self._topic = topic
        self._config = observer_config(settings, f"{stage}.exits")
        self._opened: Consumer | None = None
        self._thread = ThreadPoolExecutor(1, "exit-marks")  # the calls block

    async def read(self, partitions: Iterable[int]) -> Mapping[int, ExitMark]:
        """Query the group. A failure is logged, because the work must go on without the net."""
        places = [TopicPartition(self._topic, partition) for partition in partitions]
        found = await self._call(lambda consumer: consumer.committed(places, timeout=TIMEOUT_S))
        return {place.partition: mark for place in found if (mark := _mark(place)) is not None}

    async def write(self, marks: Mapping[int, ExitMark]) -> None:
        """Commit to the group. A failure is logged, because the work must go on without the net."""
        places = [
            TopicPartition(self._topic, partition, mark.offset, _metadata(mark)) for partition, mark in marks.items()
        ]
        await self._call(lambda consumer: consumer.commit(offsets=places, asynchronous=False))

    async def _call(self, function: Callable[[Consumer], list[TopicPartition]]) -> list[TopicPartition]:
        calling = asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(self._consumer()))
        try:
            return await asyncio.wait_for(calling, TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            log.warning("the exits of processes cannot be counted now", error=str(error) or "Kafka does not answer")
            return []

    def _consumer(self) -> Consumer:
        """The client. It is opened for the first record, because a client that waits wakes the process, too."""
        if self._opened is None:
            self._opened = Consumer(self._config)
        return self._opened


def _metadata(mark: ExitMark) -> str:
    return orjson.dumps({"starts": mark.starts, "alone": mark.alone}).decode()


def _mark(place: TopicPartition) -> ExitMark | None:
    try:
        stored = orjson.loads(place.metadata or "")
        return ExitMark(place.offset, int(stored["starts"]), int(stored["alone"]))
    except (ValueError, KeyError, TypeError):
        return None


HandleRecords = Callable[[Sequence[Record]], Awaitable[None]]
"""Makes the effect of records durable."""


class ExitGuard:
    """Counts the starts at the first offset of each partition, and finds the record that ends processes.

    `handle`: makes the effect of records durable. `condemn`: dead-letters one record as `bug` without handling it.
    `handle_alone`: handles one record, and also waits for what follows from it, if that may end the process too.
    """

    def __init__(
        self,
        marks: ExitMarks,
        handle: HandleRecords,
        condemn: Callable[[Record], Awaitable[None]],
        handle_alone: HandleRecords | None = None,
    ) -> None:
        self._marks = marks
        self._handle = handle
        self._handle_alone = handle_alone or handle
        self._condemn = condemn
        self._known: dict[int, ExitMark] = {}
        self._careful_left: dict[int, int] = {}

    async def trusts(self, records: Sequence[Record]) -> bool:
        """Whether none of these records has to be handled alone. Then the caller may already decode them."""
        await self._begin(records)
        return not any(left > 0 for left in self._careful_left.values())

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle a batch. Raises what `handle` raises, except for a record that is handled alone: it is condemned."""
        if await self.trusts(records):
            await self._handle(records)
            return
        careful = [record for record in records if self._careful_left.get(record.partition, 0) > 0]
        plain = [record for record in records if self._careful_left.get(record.partition, 0) <= 0]
        if plain or not careful:
            await self._handle(plain)
        for record in careful:
            await self._alone(record)
            self._careful_left[record.partition] -= 1

    async def _begin(self, records: Sequence[Record]) -> None:
        new = {record.partition for record in records} - self._known.keys()
        if not new:
            return
        first: dict[int, int] = {}
        for record in records:
            if record.partition in new:
                first.setdefault(record.partition, record.offset)
        stored = await self._marks.read(first)
        marks = {partition: begun(stored.get(partition), offset) for partition, offset in first.items()}
        await self._marks.write(marks)
        self._known |= marks
        for partition, mark in marks.items():
            if mark.is_careful:
                self._careful_left[partition] = CAREFUL_RECORDS
                log.warning(
                    "processes have ended at this offset again and again: its records are handled one by one",
                    partition=partition, offset=mark.offset, exits=mark.starts - 1,
                )  # fmt: skip

    async def _alone(self, record: Record) -> None:
        mark = self._known[record.partition]
        if mark.alone == record.offset:
            log.error("a record ends each process that handles it: dead-lettered as a bug", place=str(record.place))
            await self._condemn(record)
            return
        await self._marks.write({record.partition: replace(mark, alone=record.offset)})
        try:
            await self._handle_alone([record])
        except (Transient, TooManyDeadLetters, asyncio.CancelledError):
            await self._marks.write({record.partition: replace(mark, alone=NOT_ALONE)})  # it is not the reason
            raise
        except Exception as error:
            log.exception("a record that is handled alone raises: dead-lettered as a bug", exc_info=error)
            await self._condemn(record)
        # Later another partition may end the process, and then this record must not be blamed.
        await self._marks.write({record.partition: replace(mark, alone=NOT_ALONE)})
