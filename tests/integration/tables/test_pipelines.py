"""A pipelined transaction commits all or nothing, and leaves a usable connection behind."""

from __future__ import annotations

import psycopg
import pytest

from tables.pipelines import NotCommitted, answered, pipelined_transaction
from tests.support.world import World


async def test_statements_are_sent_together_and_committed(world: World) -> None:
    (person,) = await world.add_recipients(1)
    async with pipelined_transaction(world.connection):
        first = await world.connection.execute("SELECT 1")
        assert first.pgresult is None, "nobody waits for it"
        await world.connection.execute("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", [person])
        await answered(world.connection)
        assert await first.fetchone() == (1,)
    assert await world.run("SELECT attempt FROM campaign_recipients") == [(1,)]


@pytest.mark.parametrize("is_awaited", [True, False])
async def test_a_statement_that_fails_commits_nothing(world: World, *, is_awaited: bool) -> None:
    """Also if nobody awaits its answer before COMMIT."""
    (person,) = await world.add_recipients(1)

    async def write() -> None:
        async with pipelined_transaction(world.connection):
            await world.connection.execute("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", [person])
            await world.connection.execute("SELECT 1 / 0")
            if is_awaited:
                await answered(world.connection)
            await world.connection.execute("UPDATE campaign_recipients SET attempt = 2 WHERE id = %s", [person])

    with pytest.raises(psycopg.errors.DivisionByZero):
        await write()
    assert await world.run("SELECT attempt FROM campaign_recipients") == [(0,)]


async def test_a_block_that_raises_is_rolled_back(world: World) -> None:
    (person,) = await world.add_recipients(1)

    async def write() -> None:
        async with pipelined_transaction(world.connection):
            await world.connection.execute("UPDATE campaign_recipients SET attempt = 1 WHERE id = %s", [person])
            raise LookupError

    with pytest.raises(LookupError):
        await write()
    assert await world.run("SELECT attempt FROM campaign_recipients") == [(0,)]


async def test_a_failure_that_the_block_hides_is_found_at_the_end(world: World) -> None:
    """Postgres answers COMMIT with ROLLBACK then, and reports no error."""

    async def write() -> None:
        async with pipelined_transaction(world.connection):
            await world.connection.execute("SELECT 1 / 0")
            with pytest.raises(psycopg.errors.DivisionByZero):
                await answered(world.connection)

    with pytest.raises(NotCommitted):
        await write()
    assert await world.run("SELECT 1") == [(1,)]


async def test_a_connection_that_is_lost_in_the_block_raises_its_own_error(world: World) -> None:
    async def write() -> None:
        async with pipelined_transaction(world.connection):
            await world.connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(psycopg.OperationalError):
        await write()


async def test_outside_a_pipeline_everything_is_answered(world: World) -> None:
    await answered(world.connection)
    assert await world.run("SELECT 1") == [(1,)]
