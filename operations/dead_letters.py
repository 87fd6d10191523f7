"""Reads dead letters from their topics, and whether an operator has redriven or dropped them.

The raw bytes stay in the topic. Postgres remembers what was redriven or dropped.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from operations.options import InvalidOptions
from runtime.settings import Settings
from schemas.codec import Malformed
from schemas.dead_letters import REDRIVES_MAX, DeadLetter, read_headers, redrives
from schemas.places import Place, Record
from schemas.topics import BY_NAME, DEAD_SUFFIX, SPECS
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
    """One dead letter. `headers` is None if they are not ours."""

    place: Place
    topic_id: str
    record: Record
    headers: DeadLetter | None
    act: str | None
    """`redriven` or `dropped`; None while it waits."""

    @property
    def stated(self) -> DeadLetter:
        """Its headers, or placeholders for a record that another system wrote."""
        return self.headers or DeadLetter(STAGE_UNKNOWN, REASON_NO_HEADERS, Place(self.origin_topic, -1, -1))

    @property
    def redriven(self) -> int:
        """How often it was redriven before it came to this place."""
        return redrives(self.record.headers)

    @property
    def is_quarantined(self) -> bool:
        """Whether it came back so often that a redrive leaves it out."""
        return self.redriven >= REDRIVES_MAX

    @property
    def origin_topic(self) -> str:
        """The topic to which it is redriven. It follows from its own topic, so a header cannot change it."""
        return self.place.topic.removesuffix(DEAD_SUFFIX)


@dataclass(frozen=True, slots=True)
class DeadLetterOptions:
    """A selection of dead letters, as an operator typed it."""

    topic: str | None = None
    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    place: str | None = None
    limit: int = 100
    is_all: bool = False
    """List: also those that were redriven or dropped. Redrive and drop: everything that waits."""
    is_dry: bool = False
    is_quarantined: bool = False
    """Only letters that are quarantined. A redrive leaves them out otherwise."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A selection of dead letters. Topics have their real names, with or without `.dead`."""

    topic: str | None = None
    stage: str | None = None
    reason: str | None = None
    since: datetime | None = None
    place: Place | None = None
    with_done: bool = False
    is_quarantined: bool = False
    """Only letters that are quarantined."""

    @property
    def is_narrow(self) -> bool:
        """Whether it selects less than everything."""
        return any((self.topic, self.stage, self.reason, self.since, self.place, self.is_quarantined))

    def wants_topic(self, name: str) -> bool:
        """Whether letters of this dead-letter topic may be selected."""
        if self.place is not None:
            return name == self.place.topic
        return self.topic is None or name in (self.topic, self.topic + DEAD_SUFFIX)

    def wants(self, letter: Letter) -> bool:
        """Whether this letter is selected."""
        return (
            (self.with_done or letter.act is None)
            and (self.place is None or letter.place == self.place)
            and (self.stage is None or letter.stated.stage == self.stage)
            and (self.reason is None or letter.stated.reason == self.reason)
            and (self.since is None or letter.record.at >= self.since)
            and (letter.is_quarantined or not self.is_quarantined)
        )


@dataclass(slots=True)
class LetterList:
    """The first dead letters of a selection, and the numbers of all of them."""

    shown: list[Letter] = field(default_factory=list)
    by_reason: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By dead-letter topic and reason."""


def filter_of(settings: Settings, options: DeadLetterOptions) -> Filter:
    """The selection with the real names of topics. Raises InvalidOptions."""
    place = None
    if options.place is not None:
        try:
            typed = Place.parse(options.place)
        except ValueError as error:
            raise InvalidOptions(str(error)) from None
        if not typed.topic.endswith(DEAD_SUFFIX):
            raise InvalidOptions(f"{options.place} is not a dead letter: its topic does not end with {DEAD_SUFFIX}")
        place = Place(_real_name(settings, typed.topic), typed.partition, typed.offset)
    topic = None if options.topic is None else _real_name(settings, options.topic)
    since = options.since
    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return Filter(
        topic, options.stage, options.reason, since, place,
        with_done=options.is_all, is_quarantined=options.is_quarantined,
    )  # fmt: skip


def _real_name(settings: Settings, name: str) -> str:
    """The real name of a topic that was typed with or without the prefix. Raises InvalidOptions for another topic."""
    plain = name.removeprefix(settings.topic_prefix)
    if plain not in BY_NAME:
        names = ", ".join(each for each in BY_NAME if each.endswith(DEAD_SUFFIX))
        raise InvalidOptions(f"{name} is not a topic of campaigns. Dead letters are in: {names}")
    return settings.topic(plain)


async def list_letters(settings: Settings, connection: Connection, options: DeadLetterOptions) -> LetterList:
    """Count the selected dead letters, and read the first ones. Raises InvalidOptions, Transient."""
    result = LetterList()
    async for letters in find(settings, connection, filter_of(settings, options)):
        result.shown += letters[: options.limit - len(result.shown)]
        result.by_reason.update((letter.place.topic, letter.stated.reason) for letter in letters)
    return result


async def find_first(settings: Settings, connection: Connection, selection: Filter) -> Letter | None:
    """The first selected dead letter, or None. Raises Transient."""
    async with aclosing(find(settings, connection, selection)) as batches:
        async for letters in batches:
            return letters[0]
    return None


async def find(settings: Settings, connection: Connection, selection: Filter) -> AsyncGenerator[list[Letter], None]:
    """The selected dead letters, in batches, oldest first in each partition. Raises Transient.

    A caller that does not read to the end must close it (`aclosing`).
    """
    for name, topic_id in sorted((await asyncio.to_thread(dead_topics, settings)).items()):
        if not selection.wants_topic(name):
            continue
        ranges = await scan.find_ranges(settings, name, _first(selection), _end(selection))
        async with aclosing(scan.scan(settings, name, ranges, BATCH)) as batches:
            async for batch in batches:
                acts = await find_acts(connection, topic_id, [(record.partition, record.offset) for record in batch])
                letters = [_letter(record, topic_id, acts) for record in batch]
                if found := [letter for letter in letters if selection.wants(letter)]:
                    yield found


def _first(selection: Filter) -> Bound | None:
    if selection.place is not None:
        return Bound(by_partition={selection.place.partition: selection.place.offset})
    return None if selection.since is None else Bound(at=selection.since)


def _end(selection: Filter) -> Bound | None:
    return (
        None if selection.place is None else Bound(by_partition={selection.place.partition: selection.place.offset + 1})
    )


def dead_topics(settings: Settings) -> dict[str, str]:
    """The existing dead-letter topics and their ids. It blocks. Raises Transient."""
    names = {settings.topic(spec.name) for spec in SPECS if spec.name.endswith(DEAD_SUFFIX)}
    return read_topic_ids(settings, names)


def _letter(record: Record, topic_id: str, acts: Mapping[tuple[int, int], str]) -> Letter:
    try:
        headers = read_headers(record.headers)
    except Malformed:
        headers = None
    return Letter(record.place, topic_id, record, headers, acts.get((record.partition, record.offset)))
