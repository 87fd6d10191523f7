"""`campaigns status`: one screen for 3 a.m. Each server is asked by itself, so that one that is away hides nothing."""

from __future__ import annotations

import asyncio
import http.client
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from datetime import UTC, datetime

import orjson

from cli.console import OTHER_SCHEMA, printable, reason_of, run_command
from cli.status_lines import Line, StatusReport, ingress_line, lines
from operations import status
from runtime.process import EXIT_OK, Transient
from runtime.settings import Settings
from tables.database import connect, is_transient

EXIT_NOT_WELL = 1
STATEMENT_TIMEOUT_S = 10.0
DATABASE_PATIENCE_S = 15.0
"""A server that takes connections and is frozen bounds no statement itself."""
INGRESS_PATIENCE_S = 3.0
LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, never listened on
MARKS = {"ok": "ok   ", "look": "look ", "wrong": "WRONG"}


def run_status(*, as_json: bool) -> int:
    """`campaigns status`: 1 where something is wrong now."""
    return run_command(lambda settings: asyncio.run(_status(settings, as_json=as_json)))


async def _status(settings: Settings, *, as_json: bool) -> int:
    found = await look(settings)
    if as_json:
        print(orjson.dumps([asdict(line) for line in found]).decode())
    else:
        for line in found:
            step = f"  → {line.next_step}" if line.next_step else ""
            print(printable(f"{MARKS[line.state]}  {line.about}: {line.found}{step}"))
    wrong, eyes = (sum(line.state == state for line in found) for state in ("wrong", "look"))
    said = [f"{wrong} WRONG now"] if wrong else []
    said += [f"{eyes} to look at, some time"] if eyes else []
    print(", ".join(said) or "all is well", file=sys.stderr)
    return EXIT_NOT_WELL if wrong else EXIT_OK


async def look(settings: Settings) -> list[Line]:
    """The screen's lines."""
    away: dict[str, str] = {}
    database: status.DatabaseStatus | None = None
    kafka: status.KafkaStatus | None = None
    schema: list[Line] = []
    try:
        async with asyncio.timeout(DATABASE_PATIENCE_S):
            database = await _database(settings)
    except OTHER_SCHEMA as error:
        schema = [Line("schema", "wrong", f"not of this version: {reason_of(error)}", "campaigns db migrate")]
    except Exception as error:
        if not is_transient(error):  # a timeout is an OSError, too
            raise
        slow = isinstance(error, TimeoutError)
        away["PostgreSQL"] = f"no answer within {DATABASE_PATIENCE_S:.0f} s" if slow else reason_of(error)
    try:
        kafka = await status.read_kafka(settings, None if database is None else database.positions)
        if database is not None:
            kafka = await _without_dealt_with(settings, kafka)
    except Transient as error:
        away["Kafka"] = reason_of(error)
    answer = await asyncio.to_thread(_ask_ingress, settings)
    return [*schema, *lines(database, kafka, datetime.now(UTC), away), ingress_line(answer)]


def _ask_ingress(settings: Settings) -> StatusReport:
    """What the ingress says of itself where these settings place it."""
    host = LOOPBACK if settings.ingress_host in EVERY_ADDRESS else settings.ingress_host
    if settings.ingress_port == 0:
        return StatusReport("a port of its own choice", None)
    url = f"http://{host}:{settings.ingress_port}/ready"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=INGRESS_PATIENCE_S) as response:
            return StatusReport(url, response.status)
    except urllib.error.HTTPError as error:
        with error:
            return StatusReport(url, error.code)
    except (OSError, http.client.HTTPException):
        return StatusReport(url, None)


async def _database(settings: Settings) -> status.DatabaseStatus:
    url = settings.database_url.get_secret_value()
    async with await connect(
        url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        return await status.read_database(connection, settings)


async def _without_dealt_with(settings: Settings, kafka: status.KafkaStatus) -> status.KafkaStatus:
    url = settings.database_url.get_secret_value()
    try:
        async with asyncio.timeout(DATABASE_PATIENCE_S):
            async with await connect(
                url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
            ) as connection:
                return await status.without_dealt_with(connection, kafka)
    except Exception as error:
        if not is_transient(error):
            raise
        return kafka
