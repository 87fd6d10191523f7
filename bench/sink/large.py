"""A Postgres as an installation with large tables has it, and ten million rows of earlier campaigns in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import LiteralString
from uuid import uuid4

import psutil
import psycopg

from bench.contest import Arena
from bench.large import CAMPAIGN_ROW, grow, planned
from bench.sink.progress import Connected
from bench.sink.workload import CAMPAIGN, NUMBER_ID, Workload, start_of_now
from bench.sink.world import release
from bench.solo import Note
from bench.worlds import connected, own_database, settings_of
from runtime.settings import Settings
from schemas.model import CampaignId, RecipientId
from stack.embedded import embedded_stack, remove_state
from tables.migrate import migrate

LARGE_ROWS, SMOKE_LARGE_ROWS = 10_000_000, 4_000
DATABASE = "large"
FILLING = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "2GB", "max_wal_size": "4GB"}
"""For the time in which the table is filled: nothing of that is measured."""
WARM: tuple[LiteralString, ...] = (
    "SET enable_seqscan = off",
    "SET enable_bitmapscan = off",
    "SELECT count(*) FROM messages WHERE wamid > ''",
    "SELECT count(*) FROM messages WHERE recipient_id > '00000000-0000-0000-0000-000000000000'",
    "SELECT count(*) FROM campaign_recipients WHERE id > '00000000-0000-0000-0000-000000000000'",
)
"""Reads the indexes that the sink searches, as a server has them in memory that has run for some days."""
ADDED: LiteralString = """
INSERT INTO campaign_recipients (campaign_id, phone_number, scheduled_send_date)
SELECT %(campaign)s, (15550000000 + n * 73687871 %% 100000000)::text, %(at)s
FROM generate_series(1, %(rows)s::bigint) AS n ORDER BY n RETURNING id
"""


def installation_settings(memory_bytes: int) -> dict[str, str]:
    """The settings that docs/operations/run.md names for a Postgres with large tables."""
    return {
        "shared_buffers": f"{memory_bytes // 4 >> 20}MB",
        "checkpoint_timeout": "15min",
        "max_wal_size": "8GB",
        "min_wal_size": "2GB",
    }


@contextmanager
def large_arena(arena: Arena, note: Note) -> Iterator[Arena]:
    """Yield the arena with a server of its own, which has the settings of an installation, and the large table.

    A smoke run takes the server that it has. Without a folder to keep it in, the table is removed at the end.
    """
    with ExitStack() as ending:
        if arena.is_smoke:
            yield arena
            return
        folder = arena.kept or arena.folder / "large"
        if arena.kept is None:
            ending.callback(remove_state, folder)
        with embedded_stack(folder, kafka=False, postgres_settings=FILLING) as stack:
            fill(_kept_database(replace(arena, database_url=stack.database_url)), LARGE_ROWS, note)
        own = installation_settings(psutil.virtual_memory().total)
        with embedded_stack(folder, kafka=False, postgres_settings=own) as stack:
            yield replace(arena, database_url=stack.database_url, postgres_pid=stack.postgres_pid)


@contextmanager
def large_database(arena: Arena) -> Iterator[Settings]:
    """Yield settings of the database with the large table. In a smoke run the table is small, and is removed."""
    if arena.is_smoke:
        with own_database(arena) as settings:
            fill(settings, SMOKE_LARGE_ROWS, lambda _line: None)
            yield settings
    else:
        yield _kept_database(arena)


def fill(settings: Settings, rows: int, note: Note) -> None:
    """Bring the schema up to date, and insert rows until there are so many.

    They leave less room in their pages than an insert must. Else a campaign that is added later would be spread over
    all these pages, one row in each, because its rows are shorter.
    """
    url = settings.database_url.get_secret_value()
    migrate(url)
    with connected(settings) as connection:
        connection.execute("ALTER TABLE campaign_recipients SET (fillfactor = 90)")
        grow(url, start_of_now(), rows, note)
        connection.execute("ALTER TABLE campaign_recipients SET (fillfactor = 80)")


def warm(connection: Connected) -> None:
    """Read the indexes that the sink searches, as they are in memory where a server has run for some days."""
    for statement in WARM:
        connection.execute(statement)


def added_campaign(connection: Connected, recipients: int) -> Workload:
    """Add a campaign whose recipients were added together, and are sent to in that order."""
    campaign = CampaignId(uuid4())
    start = start_of_now()
    values = {"campaign": campaign, "rows": recipients, "at": start}
    connection.execute(CAMPAIGN_ROW, [campaign, NUMBER_ID, start - timedelta(hours=1)])
    given = tuple(row[0] for row in connection.execute(ADDED, values).fetchall())
    return _released(connection, given, campaign)


def spread_recipients(connection: Connected, recipients: int) -> Workload:
    """Take planned recipients that are spread evenly over the whole table, so that hardly two share a page.

    Raises RuntimeError if earlier runs have used them up.
    """
    given = planned(connection, recipients)
    if len(given) < recipients:
        raise RuntimeError("the kept table has too few planned recipients left: remove its folder")
    return _released(connection, given, CAMPAIGN)


def _released(connection: Connected, given: tuple[RecipientId, ...], campaign: CampaignId) -> Workload:
    """Release them, and vacuum as the server does by itself soon after."""
    release(connection, given)
    connection.execute("VACUUM ANALYZE campaign_recipients, campaign_counter_deltas")
    return Workload(len(given), start_of_now(), given=given, campaign=campaign)


def _kept_database(arena: Arena) -> Settings:
    with psycopg.connect(arena.database_url, autocommit=True) as admin:
        if admin.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            admin.execute(f"CREATE DATABASE {DATABASE}".encode())
    return settings_of(arena, DATABASE, arena.prefix())
