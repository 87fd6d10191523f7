"""An import adds whole chunks, and never a line that was cut."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest

from api import imports
from api.additions import Judged
from api.imports import CHUNK_LINES, Chunks, ImportedChunk, ImportTotals, import_blocks, prepared
from api.recipient_answers import RecipientsAdded
from domain.recipient_files.columns import Choices
from domain.recipient_files.reader import RecipientFile
from tables.turns import Turn


class BrokenOff(Exception):
    """The client is away."""


class Target:
    """Takes what an import adds."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.totals = ImportTotals()
        self.fails = False

    async def add(self, judged: Judged, turn: Turn) -> RecipientsAdded:
        """Add the judged recipients."""
        if self.fails:
            raise ConnectionError("Postgres is away")
        self.numbers += [each.name for each in judged.people.values()]
        return RecipientsAdded(added=len(judged.people), countries={}, duplicates=judged.repeated, invalid=[])

    def notice(self, chunk: ImportedChunk) -> None:
        """Count a chunk."""
        self.totals.count(chunk)


def numbers(count: int) -> list[str]:
    return [f"4915{number:09d}" for number in range(count)]


async def blocks(content: str, *, breaks_off: bool = False) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000].encode()
    if breaks_off:
        raise BrokenOff


async def run(target: Target, content: str, *, breaks_off: bool = False) -> None:
    file = RecipientFile(Choices())
    await import_blocks(blocks(content, breaks_off=breaks_off), file, None, target.add, target.notice)


@pytest.mark.parametrize("count", [1, CHUNK_LINES, CHUNK_LINES + 1, 3 * CHUNK_LINES])
async def test_every_line_is_in_a_chunk_in_order(count: int) -> None:
    target = Target()
    await run(target, "\n".join(numbers(count)))
    assert target.numbers == numbers(count)
    assert (target.totals.lines, target.totals.added) == (count, count)


async def test_the_file_is_read_only_as_fast_as_it_is_added() -> None:
    target = Target()
    most = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal most
        for start in range(0, 10 * CHUNK_LINES, CHUNK_LINES):
            most = max(most, start - len(target.numbers))
            yield "".join(f"4915{number:09d}\n" for number in range(start, start + CHUNK_LINES)).encode()

    await import_blocks(counted(), RecipientFile(Choices()), None, target.add, target.notice)
    assert target.totals.added == 10 * CHUNK_LINES
    assert most <= 4 * CHUNK_LINES, "two chunks are added, one is judged, one is read"


async def test_after_a_broken_connection_no_part_of_a_chunk_is_added() -> None:
    target = Target()
    people = numbers(2 * CHUNK_LINES + 100)
    with pytest.raises(BrokenOff):
        await run(target, "\n".join(people)[:-2], breaks_off=True)
    assert target.numbers == people[: len(target.numbers)]
    assert len(target.numbers) % CHUNK_LINES == 0
    assert len(target.numbers) < len(people)


async def test_a_failure_to_add_ends_the_import() -> None:
    target = Target()
    target.fails = True
    with pytest.raises(ConnectionError):
        await run(target, "\n".join(numbers(3 * CHUNK_LINES)))
    assert target.totals.lines == 0


async def test_refused_lines_and_duplicates_have_the_lines_of_the_file() -> None:
    target = Target()
    chunks: list[ImportedChunk] = []
    file = RecipientFile(Choices())
    content = 'phone,name\n+4915123456789,"Ana\nMaria"\nx,Bo\n+4915123456789,Ana\n+4915123456780,a,b\n'
    await import_blocks(blocks(content), file, None, target.add, chunks.append)
    [chunk] = chunks
    assert [(each.why.line, each.why.reason) for each in chunk.refused] == [
        (4, "not_a_phone_number"), (6, "too_many_cells"),
    ]  # fmt: skip
    assert [(each.why.line, each.why.reason) for each in chunk.first_duplicates] == [(5, "repeated_in_request")]


class Order:
    """Adds chunks when they are released, and notes which ones were begun before."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.released: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.more = asyncio.Event()

    async def add(self, judged: Judged, turn: Turn) -> RecipientsAdded:
        """Add the judged recipients in their turn, as Postgres does."""
        first = next(iter(judged.people.values())).name
        self.begun.append(first)
        self.more.set()
        await self.released[first].wait()
        await turn.comes()
        self.ended.append(first)
        return RecipientsAdded(added=len(judged.people), countries={}, duplicates=judged.repeated, invalid=[])

    async def wait_for(self, count: int) -> None:
        """Wait until so many chunks were begun."""
        while len(self.begun) < count:
            self.more.clear()
            await self.more.wait()


async def test_two_chunks_are_added_at_once_and_end_in_the_order_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_LINES", 1)
    order, target, names = Order(), Target(), numbers(3)
    file = RecipientFile(Choices())
    importing = asyncio.create_task(import_blocks(blocks("\n".join(names)), file, None, order.add, target.notice))
    await order.wait_for(2)
    order.released[names[1]].set()
    assert (order.begun, order.ended) == (names[:2], [])
    for name in names:
        order.released[name].set()
    await importing
    assert (order.begun, order.ended, target.totals.added) == (names, names, 3)


async def test_a_chunk_with_a_person_of_the_chunk_before_waits_for_it() -> None:
    order, target = Order(), Target()
    file = RecipientFile(Choices())
    one, two, three = numbers(3)
    lines = [*file.feed(f"{one}\n{two}\n{two}\n{three}\n".encode()), *file.feed(b"", is_last=True)]
    chunks = Chunks(order.add, target.notice)
    await chunks.begin(prepared(lines[:2], None))
    waiting = asyncio.create_task(chunks.begin(prepared(lines[2:], None)))
    for _ in range(10):
        await asyncio.sleep(0)
    assert (order.begun, waiting.done()) == ([one], False)
    order.released[one].set()
    order.released[two].set()
    await waiting
    await chunks.end()
    assert order.ended == [one, two]


async def test_a_chunk_is_not_added_after_the_failure_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_LINES", 1)
    order, target, names = Order(), Target(), numbers(3)

    async def add(judged: Judged, turn: Turn) -> RecipientsAdded:
        added = await order.add(judged, turn)
        if order.ended == names[:1]:
            raise ConnectionError("Postgres is away")
        return added

    importing = asyncio.create_task(
        import_blocks(blocks("\n".join(names)), RecipientFile(Choices()), None, add, target.notice)
    )
    await order.wait_for(2)
    for name in names:
        order.released[name].set()
    with pytest.raises(ConnectionError):
        await importing
    assert (order.ended, target.totals.lines) == (names[:1], 0)
