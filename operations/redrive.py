"""Dead letters sent back to the stage that refused them, or dropped, and remembered as dealt with.

The record goes back as it is, key, bytes and headers; without headers where it would be too large for its topic. It is
remembered after Kafka has acknowledged it, so a crash between sends it twice: everything downstream merges or claims,
so that is harmless, while forgetting it would not be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby

from operations.dead_letters import Filter, Letter, find
from runtime.settings import Settings
from schemas.places import Outgoing
from tables import locks
from tables.database import Connection
from tables.dead_letters import record_acts
from topics.publisher import AsyncPublisher, Publisher, RecordTooLarge


class Busy(Exception):
    """Somebody else redrives or drops at this moment."""


@dataclass(slots=True)
class Acted:
    """How many were dealt with, or would be."""

    count: int = 0
    too_large: int = 0
    """Cannot go back: larger than the topic allows, even without the headers of a dead letter."""


OnActed = Callable[[Sequence[Letter]], None]
"""Is told of letters as soon as they are dealt with: there may be many, and an end may come in the middle."""


def _nobody(_letters: Sequence[Letter]) -> None:
    """Nobody wants to know."""


async def redrive(
    settings: Settings, connection: Connection, wanted: Filter, limit: int, *, is_dry: bool, tell: OnActed = _nobody
) -> Acted:
    """Send letters back to where they came from. Raises Busy, PublishFailed, Transient."""
    publisher = None if is_dry else AsyncPublisher(settings)
    try:
        return await _act(settings, connection, wanted, limit, "redriven", publisher, tell, is_dry=is_dry)
    finally:
        if publisher is not None:
            await publisher.close()


async def drop(
    settings: Settings, connection: Connection, wanted: Filter, limit: int, *, is_dry: bool, tell: OnActed = _nobody
) -> Acted:
    """Mark letters as dealt with; they stay in their topic until it forgets them. Raises Busy, Transient."""
    return await _act(settings, connection, wanted, limit, "dropped", None, tell, is_dry=is_dry)


async def _act(
    settings: Settings, connection: Connection, wanted: Filter, limit: int, act: str,
    publisher: Publisher | None, tell: OnActed, *, is_dry: bool,
) -> Acted:  # fmt: skip
    if not await locks.try_lock(connection, locks.REDRIVE):
        raise Busy("somebody else redrives or drops dead letters now")
    result = Acted()
    async with aclosing(find(settings, connection, wanted)) as batches:
        async for found in batches:
            letters = [letter for letter in found if letter.act is None][: limit - result.count]
            if letters and not is_dry:
                if publisher is not None:
                    letters = await _send_back(publisher, letters, result)
                await _remember(connection, letters, act)
            tell(letters)
            result.count += len(letters)
            if result.count >= limit:
                break
    return result


async def _send_back(publisher: Publisher, letters: list[Letter], result: Acted) -> list[Letter]:
    """Those that went back. One that just fitted its topic does so again without the headers it got since."""
    too_large = await _publish(publisher, letters, with_headers=True)
    if too_large:
        again = [letters[index] for index in too_large]
        still = {id(again[index]) for index in await _publish(publisher, again, with_headers=False)}
        result.too_large += len(still)
        return [letter for letter in letters if id(letter) not in still]
    return letters


async def _publish(publisher: Publisher, letters: Sequence[Letter], *, with_headers: bool) -> list[int]:
    """Publish; which of them are too large."""
    records = [
        Outgoing(each.origin_topic, each.record.key, each.record.value, each.record.headers if with_headers else None)
        for each in letters
    ]
    try:
        await publisher.publish_batch(records)
    except RecordTooLarge as error:
        return error.indices
    return []


async def _remember(connection: Connection, letters: Sequence[Letter], act: str) -> None:
    for (topic, topic_id), group in groupby(letters, key=lambda each: (each.place.topic, each.topic_id)):
        places = [(letter.place.partition, letter.place.offset) for letter in group]
        await record_acts(connection, topic, topic_id, act, places)
