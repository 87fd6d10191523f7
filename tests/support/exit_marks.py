"""Exit marks that survive a process, as in Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from topics.exits import ExitMark


class KeptMarks:
    """Marks by partition, and how often they were written."""

    def __init__(self) -> None:
        self.marks: dict[int, ExitMark] = {}
        self.writes = 0

    async def read(self, partitions: Iterable[int]) -> Mapping[int, ExitMark]:
        return {partition: self.marks[partition] for partition in partitions if partition in self.marks}

    async def write(self, marks: Mapping[int, ExitMark]) -> None:
        self.writes += 1
        self.marks |= marks
