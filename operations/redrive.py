"""Redrives dead letters to the topic of the stage that refused them, or marks them as dropped.

A record is redriven unchanged with key, bytes and headers, and a header counts its redrives. If it would be too large,
it keeps only that header. A letter that came back three times is quarantined, so that no loop of redrives can grow.
Postgres remembers a redrive after Kafka has acknowledged it. A crash in between redrives twice, which is harmless:
everything downstream merges or claims.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import groupby

from operations.dead_letters import DeadLetterOptions, Filter, Letter, filter_of, find, find_first
from operations.options import InvalidOptions
from runtime.settings import Settings
from schemas.bundles import decode_bundle, encode_bundle
from schemas.codec import Malformed
from schemas.dead_letters import REDRIVEN
from schemas.places import Outgoing, Record
from schemas.topics import Topic
from tables import locks
from tables.database import Connection
from tables.dead_letters import record_acts
from topics import scan
from topics.publisher import AsyncPublisher, Publisher, RecordTooLarge
from topics.scan import Bound


class LetterAct(Enum):
    """What an operator does with dead letters. The value is stored and shown."""

    REDRIVE = "redriven"
    DROP = "dropped"


class Busy(Exception):
    """Another process redrives or drops dead letters now."""


class NoSuchLetter(LookupError):
    """There is no dead letter at the given place."""


@dataclass(slots=True)
class Acted:
    """How many letters were redriven or dropped, or would be."""

    count: int = 0
    too_large: int = 0
    """Letters that are larger than the topic allows, even without their headers."""
    expired: int = 0
    """Letters with only an excerpt of their record, which its topic does not keep any more."""
    quarantined: int = 0
    """Letters that were left out, because they came back too often."""
    by_reason: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """Number of letters by dead-letter topic, reason, and how often they had been redriven before."""
    done_before: Letter | None = None
    """The one selected letter, if it was already redriven or dropped. Then nothing was done."""


OnActed = Callable[[Sequence[Letter]], None]
"""Called with letters as soon as they are done, because the command may be interrupted in the middle."""


def _ignore(_letters: Sequence[Letter]) -> None:
    """Default callback: discards progress."""


async def act_on_letters(
    settings: Settings,
    connection: Connection,
    act: LetterAct,
    options: DeadLetterOptions,
    on_acted: OnActed = _ignore,
) -> Acted:
    """Redrive or drop the selected letters. Raises InvalidOptions, NoSuchLetter, Busy, PublishFailed, Transient."""
    selection = filter_of(settings, options)
    if not (selection.is_narrow or options.is_all):
        raise InvalidOptions("Nothing selected: give a place, --topic, --stage, --reason, --since, or --all.")
    if selection.place is not None:
        letter = await find_first(settings, connection, replace(selection, with_done=True))
        if letter is None:
            raise NoSuchLetter(options.place)
        if letter.act is not None:
            return Acted(done_before=letter)
    perform = redrive if act is LetterAct.REDRIVE else drop
    return await perform(settings, connection, selection, options.limit, is_dry=options.is_dry, on_acted=on_acted)


async def redrive(
    settings: Settings,
    connection: Connection,
    selection: Filter,
    limit: int,
    *,
    is_dry: bool,
    on_acted: OnActed = _ignore,
) -> Acted:
    """Publish letters to their origin topics again. Raises Busy, PublishFailed, Transient."""
    publisher = None if is_dry else AsyncPublisher(settings)
    try:
        return await _act(settings, connection, selection, limit, LetterAct.REDRIVE, publisher, on_acted, is_dry=is_dry)
    finally:
        if publisher is not None:
            await publisher.close()


async def drop(
    settings: Settings,
    connection: Connection,
    selection: Filter,
    limit: int,
    *,
    is_dry: bool,
    on_acted: OnActed = _ignore,
) -> Acted:
    """Mark letters as dropped. Their bytes stay in the topic until retention. Raises Busy, Transient."""
    return await _act(settings, connection, selection, limit, LetterAct.DROP, None, on_acted, is_dry=is_dry)


async def _act(
    settings: Settings, connection: Connection, selection: Filter, limit: int, act: LetterAct,
    publisher: Publisher | None, on_acted: OnActed, *, is_dry: bool,
) -> Acted:  # fmt: skip
    if not await locks.try_lock(connection, locks.REDRIVE):
        raise Busy("another process redrives or drops dead letters now; run this again later")
    result = Acted()
    async with aclosing(find(settings, connection, selection)) as batches:
        async for found in batches:
            letters = [letter for letter in found if letter.act is None]
            if act is LetterAct.REDRIVE and not selection.is_quarantined:
                result.quarantined += sum(letter.is_quarantined for letter in letters)
                letters = [letter for letter in letters if not letter.is_quarantined]
            letters = letters[: limit - result.count]
            if letters and not is_dry:
                if publisher is not None:
                    letters = await _send_back(publisher, await _whole(settings, letters, result), result)
                await _remember(connection, letters, act.value)
            on_acted(letters)
            result.count += len(letters)
            result.by_reason.update((each.place.topic, each.stated.reason, each.redriven) for each in letters)
            if result.count >= limit:
                break
    return result


async def _whole(settings: Settings, letters: Sequence[Letter], result: Acted) -> list[Letter]:
    """Letters with their whole records. A letter that has only an excerpt gets the record from its origin."""
    whole = []
    for letter in letters:
        if not letter.stated.is_by_place:
            whole.append(letter)
            continue
        record = await _record_at(settings, letter)
        if record is None:
            result.expired += 1
        else:
            whole.append(replace(letter, record=record))
    return whole


async def _record_at(settings: Settings, letter: Letter) -> Record | None:
    """The record from which a letter was made, with the headers of the letter. None if it is not kept any more."""
    origin = letter.stated.origin
    first, end = (Bound(by_partition={origin.partition: offset}) for offset in (origin.offset, origin.offset + 1))
    ranges = await scan.find_ranges(settings, letter.origin_topic, first, end)
    async with aclosing(scan.scan(settings, letter.origin_topic, ranges)) as batches:
        found = [record async for batch in batches for record in batch]
    for record in found:
        value = _part_of(letter, record)
        if value is not None and value.startswith(letter.record.value or b""):
            return letter.record._replace(key=record.key, value=value)
    return None


def _part_of(letter: Letter, record: Record) -> bytes | None:
    """The bytes of a record that a letter is about: one body of a bundle, or all of it."""
    if not letter.origin_topic.endswith(Topic.WEBHOOKS_RAW):
        return record.value
    try:
        return encode_bundle([decode_bundle(record.value)[letter.stated.origin.item or 0]])
    except (Malformed, IndexError):
        return record.value


async def _send_back(publisher: Publisher, letters: list[Letter], result: Acted) -> list[Letter]:
    """Publish letters, and return those that were published. A letter that is too large is retried without headers."""
    too_large = await _publish(publisher, letters, with_headers=True)
    if too_large:
        again = [letters[index] for index in too_large]
        still = {id(again[index]) for index in await _publish(publisher, again, with_headers=False)}
        result.too_large += len(still)
        return [letter for letter in letters if id(letter) not in still]
    return letters


async def _publish(publisher: Publisher, letters: Sequence[Letter], *, with_headers: bool) -> list[int]:
    """Publish letters, and return the indices of those that are too large. Their redrives are always counted."""
    records = []
    for each in letters:
        kept = [(name, value) for name, value in each.record.headers if name != REDRIVEN and with_headers]
        headers = (*kept, (REDRIVEN, str(each.redriven + 1).encode()))
        records.append(Outgoing(each.origin_topic, each.record.key, each.record.value, headers))
    try:
        await publisher.publish_batch(records)
    except RecordTooLarge as error:
        return error.indices
    return []


async def _remember(connection: Connection, letters: Sequence[Letter], act: str) -> None:
    for (topic, topic_id), group in groupby(letters, key=lambda each: (each.place.topic, each.topic_id)):
        places = [(letter.place.partition, letter.place.offset) for letter in group]
        await record_acts(connection, topic, topic_id, act, places)
