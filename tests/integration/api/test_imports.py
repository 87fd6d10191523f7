"""Two connections import one file as one connection does: line by line, in its order, also beside other clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest

from api import imports
from api.imports import ImportedChunk, import_blocks
from cli.import_adding import adding
from domain.people import PersonKey
from domain.recipient_files.columns import Choices
from domain.recipient_files.reader import RecipientFile
from tables import campaigns, turns
from tables.campaigns import NotAdded
from tables.new_recipients import NewRecipient, RecipientBatch, batch_of
from tables.person_links import link_keys
from tables.turns import Turn
from tests.support.world import World

ROUNDS, LINES, PEOPLE = 25, 14, 9
ROWS = """
    SELECT phone_number, user_id, template_parameters, person FROM campaign_recipients WHERE campaign_id = %s
    ORDER BY id"""
COUNTED = """
    SELECT dimension, key, sum(n) FROM campaign_counter_deltas WHERE campaign_id = %s GROUP BY 1, 2 ORDER BY 1, 2"""
ALL_ROWS = "SELECT phone_number FROM campaign_recipients WHERE campaign_id = %s ORDER BY 1"


def some_lines(random: Random) -> list[dict[str, Any]]:
    """Lines of a file. Many name a person of another line, also by another name."""
    lines: list[dict[str, Any]] = []
    for number in range(LINES):
        phone = random.choice([f"+1212200000{random.randrange(PEOPLE)}", "+5215512345678", "+525512345678"])
        user = f"US.{random.randrange(PEOPLE)}"
        line: dict[str, Any] = random.choice([
            {"phone_number": phone}, {"phone_number": phone}, {"phone_number": phone, "user_id": user},
            {"user_id": user}, {"phone_number": "x"},
        ])  # fmt: skip
        lines.append({**line, "template_parameters": [str(number)]})
    return lines


class Importing:
    """Imports JSON lines into a campaign, and notes what became of each."""

    def __init__(self, world: World, campaign: UUID) -> None:
        self._world = world
        self._campaign = campaign
        self.added = 0
        self.unadded: list[tuple[int, str]] = []

    def _notice(self, chunk: ImportedChunk) -> None:
        self.added += chunk.added
        self.unadded += [(each.why.line, each.why.reason) for each in (*chunk.first_duplicates, *chunk.refused)]

    async def run(self, lines: Sequence[dict[str, Any]], connections: int) -> None:
        """Import the lines with one or two connections."""

        async def blocks() -> AsyncIterator[bytes]:
            yield b"".join(orjson.dumps(line) + b"\n" for line in lines)

        async with AsyncExitStack() as ending:
            connection = await ending.enter_async_context(self._world.another("import"))
            connecting = (lambda: self._world.another("import")) if connections > 1 else None
            add = await ending.enter_async_context(adding(connection, self._campaign, connecting))
            await import_blocks(blocks(), RecipientFile(Choices()), None, add, self._notice)


async def wait_for_held(world: World, count: int) -> None:
    """Wait until so many transactions of imports wait for their turn."""
    held = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'import' AND state = 'idle in transaction'"
        " AND datname = current_database()"
    )
    async with world.another("observer") as observer, asyncio.timeout(10):
        while await (await observer.execute(held.encode())).fetchone() != (count,):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_two_connections_import_what_one_does(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "CHUNK_LINES", 2)
    random = Random(11)
    for _ in range(ROUNDS):
        lines = some_lines(random)
        keys = sorted({f"1212200000{n}" for n in range(PEOPLE)} | {f"user:US.{n}" for n in range(PEOPLE)})
        one, other = sorted(random.sample(keys, 2))
        found: list[Any] = []
        for connections in (1, 2):
            campaign = await world.create_campaign(0)
            await world.run("DELETE FROM person_links")
            await link_keys(world.connection, {(PersonKey(one), PersonKey(other)): True})
            importing = Importing(world, campaign)
            await importing.run(lines, connections)
            links = await world.run("SELECT * FROM person_links ORDER BY 1, 2")
            rows, counted = await world.run(ROWS, campaign), await world.run(COUNTED, campaign)
            places = [int(row[2][0]) // 2 for row in rows]
            assert places == sorted(places), "the ids follow the chunks"
            found.append((importing.added, importing.unadded, sorted(rows, key=str), links, counted))
        assert found[0] == found[1]


async def test_a_chunk_is_committed_after_the_one_before_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another client has added a person of the first chunk, and its transaction is open."""
    monkeypatch.setattr(imports, "CHUNK_LINES", 1)
    campaign = await world.create_campaign(0)
    importing = Importing(world, campaign)
    numbers = [f"1212200000{n}" for n in range(3)]
    async with world.another("observer") as observer:
        async with world.connection.transaction():
            await campaigns.add_recipients(world.connection, campaign, [NewRecipient(numbers[0])])
            running = asyncio.create_task(importing.run([{"phone_number": f"+{each}"} for each in numbers], 2))
            await world.wait_for_blocked("import")
            await wait_for_held(world, 1)
            assert await (await observer.execute(ALL_ROWS.encode(), [campaign])).fetchall() == []
        await running
    assert [row[0] for row in await world.run(ALL_ROWS, campaign)] == numbers
    assert (importing.added, importing.unadded) == (2, [(1, "already_in_campaign")])


async def test_batches_of_two_lists_do_not_wait_for_each_other_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second batch of each list holds the row for which the first batch of the other list waits."""
    monkeypatch.setattr(turns, "HELD_S", 0.3)
    campaign = await world.create_campaign(0)
    one, two = batch_of([NewRecipient("12122000001")]), batch_of([NewRecipient("12122000002")])
    first, other_first = Turn(), Turn()
    await first.begin(1)
    await other_first.begin(1)

    async def add(batch: RecipientBatch, turn: Turn) -> NotAdded:
        async with world.another("import") as connection:
            done = await campaigns.add_batch(connection, campaign, batch, turn)
            turn.end()
            return done

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        found = [tasks.create_task(add(two, Turn(first))), tasks.create_task(add(one, Turn(other_first)))]
        await wait_for_held(world, 2)
        found += [tasks.create_task(add(one, first)), tasks.create_task(add(two, other_first))]
    assert sorted(name for each in found for name in each.result().present) == ["12122000001", "12122000002"]
    assert await world.run(ALL_ROWS, campaign) == [("12122000001",), ("12122000002",)]
