"""Imports a file of recipients while it arrives, for the REST API and the command line.

The lines are judged by the rules of `additions.py` and added in chunks, each in one transaction. While two chunks are
inserted, the next is judged. They are committed in the order of the file: a failure in the middle leaves the first
chunks, and a repeated import adds only the rest.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from api.additions import VALUE_CHARACTERS_MAX, Judged, judge
from api.recipient_answers import InvalidRecipient, RecipientsAdded, RefusedLine
from domain.recipient_files.reader import FileLine, RecipientFile
from domain.written_numbers import shown
from runtime.computing import computing
from tables.new_recipients import batch_of_keyed
from tables.turns import Turn

CHUNK_LINES = 10_000
"""Lines that are added in one transaction: about 100 ms. Of half as many, Postgres waits for the client too often."""

LISTED_MAX = 100
"""Lines of each list in an answer."""
BLOCK_BYTES_MIN = 64 * 1024
"""A client may send a file in small pieces. They are gathered before a thread reads them."""
CHUNKS_AT_ONCE = 2
"""Chunks that are inserted at the same time, each on a connection of its own: together they keep Postgres at work."""

PARAMETERS = "template_parameters"
AddJudged = Callable[[Judged, Turn], Awaitable[RecipientsAdded]]
"""Adds the recipients of a chunk in its turn. It takes a connection in the order of the calls."""


@dataclass(frozen=True, slots=True)
class PreparedChunk:
    """Lines, their recipients, and the place of each recipient in `lines`."""

    lines: Sequence[FileLine]
    judged: Judged
    places: Sequence[int]


@dataclass(frozen=True, slots=True)
class UnaddedLine:
    """A line that was not added, and why."""

    line: FileLine
    why: RefusedLine

    @property
    def message(self) -> str:
        """The sentence for a person. That about a template parameter names it."""
        is_of_parameter = self.why.field.startswith(PARAMETERS)
        return f"{self.why.field}: {self.why.message}" if is_of_parameter else self.why.message


@dataclass(frozen=True, slots=True)
class ImportedChunk:
    """What became of some lines."""

    lines: int
    added: int
    countries: dict[str, int]
    duplicates: int
    refused: Sequence[UnaddedLine]
    first_duplicates: Sequence[UnaddedLine]


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
        self.duplicates += chunk.duplicates
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
    chunks = Chunks(add, notice)
    with computing():
        try:
            async for block, is_last in with_end(blocks):
                waiting += await asyncio.to_thread(file.feed, block, is_last=is_last)
                while len(waiting) >= CHUNK_LINES or (is_last and waiting):
                    lines, waiting = waiting[:CHUNK_LINES], waiting[CHUNK_LINES:]
                    await chunks.begin(await asyncio.to_thread(prepared, lines, country))
            await chunks.end()
        except Exception:
            await chunks.end()  # a chunk that was begun is whole, also if the connection of the client broke
            raise
        finally:
            await chunks.stop()


class Chunks:
    """Adds chunks in the order of the file. Of two that have nobody in common, the second one is inserted meanwhile."""

    def __init__(self, add: AddJudged, notice: Callable[[ImportedChunk], None]) -> None:
        self._add = add
        self._notice = notice
        self._under_way: deque[tuple[PreparedChunk, asyncio.Task[ImportedChunk]]] = deque()
        self._last: Turn | None = None

    async def begin(self, chunk: PreparedChunk) -> None:
        """Begin to add a chunk, when few enough others are under way. Raises the errors of `add`."""
        keys = chunk.judged.keys
        while len(self._under_way) == CHUNKS_AT_ONCE or any(
            not keys.isdisjoint(before.judged.keys) for before, _ in self._under_way
        ):
            await self._end_first()
        turn = self._last = Turn(self._last)
        self._under_way.append((chunk, asyncio.create_task(self._added(chunk, turn))))

    async def end(self) -> None:
        """Wait for all chunks. Raises the errors of `add`."""
        while self._under_way:
            await self._end_first()

    async def stop(self) -> None:
        """Cancel the chunks that are under way."""
        tasks = [task for _, task in self._under_way]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end_first(self) -> None:
        self._notice(await self._under_way[0][1])
        self._under_way.popleft()

    async def _added(self, chunk: PreparedChunk, turn: Turn) -> ImportedChunk:
        done = await self._add(chunk.judged, turn)
        turn.end()
        lines, places = chunk.lines, chunk.places
        return ImportedChunk(
            len(lines),
            done.added,
            done.countries,
            len(done.duplicates),
            refusals(lines, chunk.judged, places),
            _located(lines, places, done.duplicates[:LISTED_MAX]),
        )


def judge_lines(lines: Sequence[FileLine], country: str | None) -> tuple[Judged, list[int]]:
    """The recipients of the lines that can be read, judged, and the place of each in `lines`."""
    places = [place for place, line in enumerate(lines) if line.fault is None]
    return judge([lines[place].item for place in places], country), places


def prepared(lines: Sequence[FileLine], country: str | None) -> PreparedChunk:
    """The same, ready to be inserted: Postgres inserts the chunks before meanwhile."""
    judged, places = judge_lines(lines, country)
    judged.batch = batch_of_keyed(judged.keyed)
    return PreparedChunk(lines, judged, places)


def refusals(lines: Sequence[FileLine], judged: Judged, places: Sequence[int]) -> list[UnaddedLine]:
    """The lines that cannot be read and those whose recipient is invalid, in the order of the file."""
    unread = [_unread(line) for line in lines if line.fault is not None]
    invalid = _located(lines, places, judged.refused)
    return sorted([*unread, *invalid], key=lambda each: each.line.number)


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
    """The bytes in blocks that are worth a thread, each with False, and the rest with True: the input of `feed`."""
    gathered = bytearray()
    async for block in blocks:
        gathered += block
        if len(gathered) >= BLOCK_BYTES_MIN:
            yield bytes(gathered), False
            gathered.clear()
    yield bytes(gathered), True
