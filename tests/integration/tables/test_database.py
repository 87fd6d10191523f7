"""Connections on a real server: the options of the address hold everywhere, and a silent server ends a statement."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from urllib.parse import quote

import psutil
import psycopg
import pytest

from tables import database, locks
from tables.database import connect, connect_now, is_transient
from tables.migrate import migrate

DEADLINE_S = 20.0
LIMIT_S = 0.3


def in_schema(url: str, schema: str) -> str:
    return f"{url}?options={quote(f'-c search_path={schema}')}"


async def test_two_installations_in_two_schemas_share_nothing(empty_database_url: str) -> None:
    """Each process used the schema `public`, whatever its address named, while `db migrate` used the named one."""
    with psycopg.connect(empty_database_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA one")
        owner.execute("CREATE SCHEMA two")
    urls = [in_schema(empty_database_url, schema) for schema in ("one", "two")]
    assert [bool(migrate(url)) for url in urls] == [True, True]
    async with (
        await connect(urls[0], application_name="campaigns-one", session={"lock_timeout": "1s"}) as one,
        await connect(urls[1], application_name="campaigns-two") as two,
    ):
        await one.execute(
            "INSERT INTO marketing_campaigns (name, template_name, language_code, phone_number_id)"
            " VALUES ('a', 't', 'en', '1')"
        )
        counted = [
            await (await each.execute("SELECT count(*) FROM marketing_campaigns")).fetchone() for each in (one, two)
        ]
        assert counted == [(1,), (0,)]
        leading = [await locks.try_lock(each, locks.SCHEDULER) for each in (one, two)]
        assert leading == [True, True], "each installation has a leader of its own"
        async with await connect(urls[0], application_name="campaigns-third") as third:
            assert not await locks.try_lock(third, locks.SCHEDULER)
    async with database.pool(urls[1], application_name="campaigns-pool") as pool, pool.connection() as pooled:
        assert await (await pooled.execute("SELECT current_schema()")).fetchone() == ("two",)
    with connect_now(urls[1], application_name="campaigns-now") as now:
        assert now.execute("SELECT current_schema()").fetchone() == ("two",)


async def test_a_server_that_stays_silent_ends_the_statement(database_url: str) -> None:
    async with await connect(database_url, application_name="campaigns-test") as connection:
        assert isinstance(connection, database.BoundedConnection)
        connection.answer_limit_s = LIMIT_S
        started = time.monotonic()
        with pytest.raises(psycopg.OperationalError) as silent:
            await connection.execute("SELECT pg_sleep(60)")
    assert is_transient(silent.value)
    assert time.monotonic() - started < DEADLINE_S


def test_a_command_too_ends_on_a_server_that_stays_silent(database_url: str) -> None:
    connection = connect_now(database_url, application_name="campaigns-test")
    connection.answer_limit_s = LIMIT_S
    started = time.monotonic()
    with pytest.raises(psycopg.OperationalError) as silent:
        connection.execute("SELECT pg_sleep(60)")
    assert is_transient(silent.value)
    assert time.monotonic() - started < DEADLINE_S


async def test_a_standby_is_no_server_to_work_on(database_url: str) -> None:
    """The scheduler wrote to a standby, and ended with a bug; now it waits for a server that takes writes."""
    read_only = f"{database_url}?options={quote('-c default_transaction_read_only=on')}"
    with pytest.raises(psycopg.OperationalError, match="read-only") as refused:
        await connect(read_only, application_name="campaigns-test")
    assert is_transient(refused.value)


@pytest.mark.parametrize(("trusted_s", "expected"), [(0.0, "replaced"), (3600.0, "lent")])
async def test_a_connection_that_answered_recently_is_lent_without_a_check(
    database_url: str, trusted_s: float, expected: str
) -> None:
    """Its server process is gone, so only a check could notice it before the next statement."""
    async with database.pool(database_url, application_name="campaigns-pool", size=1, trusted_s=trusted_s) as pool:
        async with pool.connection() as connection:
            await connection.execute("SELECT 1")
            ended = connection.info.backend_pid
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
            await other.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
        async with pool.connection() as connection:
            assert ("lent" if connection.info.backend_pid == ended else "replaced") == expected


async def test_a_pool_replaces_a_connection_whose_server_process_is_frozen(database_url: str) -> None:
    """The empty statement with which a pool checks a connection had no limit: every request waited for ever."""
    async with database.pool(database_url, application_name="campaigns-pool", size=1, timeout_s=10) as pool:
        async with pool.connection() as connection:
            frozen = connection.info.backend_pid
        if not psutil.pid_exists(frozen) or "postgres" not in psutil.Process(frozen).name():
            pytest.skip("the server runs on another machine")
        os.kill(frozen, signal.SIGSTOP)
        try:
            async with asyncio.timeout(DEADLINE_S), pool.connection() as connection:
                assert connection.info.backend_pid != frozen
        finally:
            os.kill(frozen, signal.SIGCONT)
