"""Dead letters as an operator sees them: read from their topics, and whether somebody has dealt with them.

The raw bytes stay in the topic untouched; what was redriven or dropped is remembered in Postgres.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from runtime.settings import Settings
from schemas.codec import Malformed
from schemas.dead_letters import DeadLetter, read_headers
from schemas.places import Place, Record
from schemas.topics import DEAD_SUFFIX, SPECS
from tables.database import Connection
from tables.dead_letters import find_acts
from topics import scan
from topics.cluster import read_topic_ids
from topics.scan import Bound

BATCH = 500
STAGE_UNKNOWN = "?"
REASON_NO_HEADERS = "no_headers"


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `said` is None where its headers are not ours."""

    place: Place
    topic_id: str
    record: Record
    said: DeadLetter | None
    act: str | None
    """`redriven` or `dropped`; None: it waits."""

    @property
    def stated(self) -> DeadLetter:
        """What its headers say; a record without them is somebody else's."""
        return self.said or DeadLetter(STAGE_UNKNOWN, REASON_NO_HEADERS, Place(self.origin_topic, -1, -1))

    @property
    def origin_topic(self) -> str:
        """The topic it came from and would go back to; by its own topic's name, so no header can send it elsewhere."""
        return self.place.topic.removesuffix(DEAD_SUFFIX)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters are meant. Topics by their real names, with or without `.dead`."""

    topic: str | None = None
    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    place: Place | None = None
    with_done: bool = False

    @property
    def is_narrow(self) -> bool:
        """It names something, so not everything is meant."""
        return any((self.topic, self.stage, self.reason, self.since, self.place))

    def wants_topic(self, name: str) -> bool:
        """Whether letters of this dead-letter topic may be meant."""
        if self.place is not None:
            return name == self.place.topic
        return self.topic is None or name in (self.topic, self.topic + DEAD_SUFFIX)

    def wants(self, letter: Letter) -> bool:
        """Whether this letter is meant."""
        return (
            (self.with_done or letter.act is None)
            and (self.place is None or letter.place == self.place)
            and (self.stage is None or letter.stated.stage == self.stage)
            and (self.reason is None or letter.stated.reason == self.reason)
            and (self.since is None or letter.record.at >= self.since)
        )


async def find(settings: Settings, connection: Connection, wanted: Filter) -> AsyncGenerator[list[Letter], None]:
    """The dead letters that are meant, in batches, oldest first in each partition. Raises Transient.

    Who does not read to the end closes it (`aclosing`).
    """
    for name, topic_id in sorted((await asyncio.to_thread(dead_topics, settings)).items()):
        if not wanted.wants_topic(name):
            continue
        ranges = await scan.find_ranges(settings, name, _first(wanted), _end(wanted))
        async with aclosing(scan.scan(settings, name, ranges, BATCH)) as batches:
            async for batch in batches:
                acts = await find_acts(connection, topic_id, [(record.partition, record.offset) for record in batch])
                letters = [_letter(record, topic_id, acts) for record in batch]
                if found := [letter for letter in letters if wanted.wants(letter)]:
                    yield found


def _first(wanted: Filter) -> Bound | None:
    if wanted.place is not None:
        return Bound(by_partition={wanted.place.partition: wanted.place.offset})
    return None if wanted.since is None else Bound(at=wanted.since)


def _end(wanted: Filter) -> Bound | None:
    return None if wanted.place is None else Bound(by_partition={wanted.place.partition: wanted.place.offset + 1})


def dead_topics(settings: Settings) -> dict[str, str]:
    """The dead-letter topics that there are, and their ids. It blocks. Raises Transient."""
    names = {settings.topic(spec.name) for spec in SPECS if spec.name.endswith(DEAD_SUFFIX)}
    return read_topic_ids(settings, names)


def _letter(record: Record, topic_id: str, acts: Mapping[tuple[int, int], str]) -> Letter:
    try:
        said = read_headers(record.headers)
    except Malformed:
        said = None
    return Letter(record.place, topic_id, record, said, acts.get((record.partition, record.offset)))
