"""Imports a file of recipients while it arrives, for the REST API and the command line.

The lines are judged by the rules of `additions.py` and added in chunks, each in one transaction. While one chunk is
written, the next is judged. A failure in the middle leaves whole chunks, and a repeated import adds only the rest.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from api.additions import VALUE_CHARACTERS_MAX, Judged, judge
from api.answers import InvalidRecipient, RecipientsAdded, RefusedLine
from domain.recipient_files.reader import FileLine, RecipientFile
from domain.written_numbers import shown
from tables.new_recipients import batch_of

CHUNK_LINES = 10_000
"""Lines that are added in one transaction: about 100 ms. Of half as many, Postgres waits for the client too often."""

AddJudged = Callable[[Judged], Awaitable[RecipientsAdded]]


@dataclass(frozen=True, slots=True)
class UnaddedLine:
    """A line that was not added, and why."""

    line: FileLine
    why: RefusedLine


@dataclass(frozen=True, slots=True)
class ImportedChunk:
    """What became of some lines."""

    lines: int
    added: int
    countries: dict[str, int]
    duplicates: Sequence[UnaddedLine]
    refused: Sequence[UnaddedLine]


@dataclass(slots=True)
class ImportTotals:
    """What became of all lines so far."""

    lines: int = 0
    added: int = 0
    duplicates: int = 0
    refused: int = 0
    countries: Counter[str] = field(default_factory=Counter)

    def count(self, chunk: ImportedChunk) -> None:
        """Count a chunk."""
        self.lines += chunk.lines
        self.added += chunk.added
        self.duplicates += len(chunk.duplicates)
        self.refused += len(chunk.refused)
        self.countries.update(chunk.countries)


async def import_blocks(
    blocks: AsyncIterator[bytes],
    file: RecipientFile,
    country: str | None,
    add: AddJudged,
    notice: Callable[[ImportedChunk], None],
) -> None:
    """Read the blocks of a file to their end, add its recipients, and report each chunk after it is added.

    An error of the blocks leaves out the lines that have not become a chunk: a line may be cut there, and the start of
    a number may be the number of somebody else. Raises UnusableFile, and the errors of `add`.
    """
    waiting: list[FileLine] = []
    adding: asyncio.Task[ImportedChunk] | None = None
    try:
        async for block, is_last in with_end(blocks):
            waiting += await asyncio.to_thread(file.feed, block, is_last=is_last)
            while len(waiting) >= CHUNK_LINES or (is_last and waiting):
                lines, waiting = waiting[:CHUNK_LINES], waiting[CHUNK_LINES:]
                judged = await asyncio.to_thread(_prepared, lines, country)
                if adding is not None:
                    notice(await adding)
                adding = asyncio.create_task(_add(lines, *judged, add))
        if adding is not None:
            notice(await adding)
    except BaseException:
        if adding is not None and adding.cancel():
            await asyncio.wait({adding})
        raise


def judge_lines(lines: Sequence[FileLine], country: str | None) -> tuple[Judged, list[int]]:
    """The recipients of the lines that can be read, judged, and the place of each in `lines`."""
    places = [place for place, line in enumerate(lines) if line.fault is None]
    return judge([lines[place].item for place in places], country), places


def _prepared(lines: Sequence[FileLine], country: str | None) -> tuple[Judged, list[int]]:
    """The same, ready to be inserted: Postgres inserts the chunk before meanwhile."""
    judged, places = judge_lines(lines, country)
    judged.batch = batch_of(judged.people.values())
    return judged, places


def refusals(lines: Sequence[FileLine], judged: Judged, places: Sequence[int]) -> list[UnaddedLine]:
    """The lines that cannot be read and those whose recipient is invalid, in the order of the file."""
    unread = [_unread(line) for line in lines if line.fault is not None]
    invalid = _located(lines, places, judged.refused)
    return sorted([*unread, *invalid], key=lambda each: each.line.number)


async def _add(lines: Sequence[FileLine], judged: Judged, places: Sequence[int], add: AddJudged) -> ImportedChunk:
    done = await add(judged)
    duplicates = _located(lines, places, done.duplicates)
    return ImportedChunk(len(lines), done.added, done.countries, duplicates, refusals(lines, judged, places))


def _located(lines: Sequence[FileLine], places: Sequence[int], found: Sequence[InvalidRecipient]) -> list[UnaddedLine]:
    return [_refused(lines[places[each.index]], each) for each in found]


def _refused(line: FileLine, each: InvalidRecipient) -> UnaddedLine:
    why = RefusedLine(line=line.number, field=each.field, value=each.value, reason=each.reason, message=each.message)
    return UnaddedLine(line, why)


def _unread(line: FileLine) -> UnaddedLine:
    fault = line.fault
    assert fault is not None
    value = shown(line.text[:VALUE_CHARACTERS_MAX])
    why = RefusedLine(
        line=line.number, field=fault.field, value=value, reason=fault.reason, message=fault.reason.meaning
    )
    return UnaddedLine(line, why)


async def with_end(blocks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bool]]:
    """The blocks that are not empty, each with False, and an empty last one with True: the input of `feed`."""
    async for block in blocks:
        if block:
            yield block, False
    yield b"", True
