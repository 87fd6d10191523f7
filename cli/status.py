"""`campaigns status`: one screen for 3 a.m. Each server is asked by itself, so that one that is away hides nothing."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import orjson
import psycopg

from cli.asking import told
from cli.status_lines import Line, lines
from runtime.logs import mask_text
from runtime.process import EXIT_OK
from runtime.settings import Settings, read_settings
from sinks import standing
from sinks.database import connect, is_transient
from sinks.lag import KafkaAway

EXIT_NOT_WELL = 1
STATEMENT_TIMEOUT_S = 10.0
MARKS = {"ok": "ok   ", "look": "look ", "wrong": "WRONG"}


def run_status(*, as_json: bool) -> int:
    """`campaigns status`: 1 where something is wrong now."""
    return told(lambda: asyncio.run(_status(read_settings(), as_json=as_json)))


async def _status(settings: Settings, *, as_json: bool) -> int:
    found = await look(settings)
    if as_json:
        print(orjson.dumps([asdict(line) for line in found]).decode())
    else:
        for line in found:
            step = f"  → {line.next_step}" if line.next_step else ""
            print(f"{MARKS[line.state]}  {line.about}: {line.found}{step}")
    wrong = sum(line.state == "wrong" for line in found)
    print("all is well" if not wrong else f"{wrong} line(s) are not well", file=sys.stderr)
    return EXIT_NOT_WELL if wrong else EXIT_OK


async def look(settings: Settings) -> list[Line]:
    """The screen's lines."""
    away: dict[str, str] = {}
    database: standing.DatabaseStanding | None = None
    kafka: standing.KafkaStanding | None = None
    try:
        database = await _database(settings)
    except psycopg.errors.UndefinedTable:
        away["PostgreSQL"] = "there is no schema; campaigns db migrate"
    except psycopg.Error as error:
        if not is_transient(error):
            raise
        away["PostgreSQL"] = mask_text(str(error).strip())
    try:
        kafka = await standing.read_kafka(settings, None if database is None else database.positions)
    except KafkaAway as error:
        away["Kafka"] = str(error)
    return lines(database, kafka, datetime.now(UTC), away)


async def _database(settings: Settings) -> standing.DatabaseStanding:
    url = settings.database_url.get_secret_value()
    async with await connect(
        url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        return await standing.read_database(connection, settings)
