"""Queries PostgreSQL, Kafka, the ingress and the API for `campaigns status`, each with a time limit of its own.

An outage of one becomes a line of the report and hides nothing of the others.
"""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import psycopg

from operations import status
from operations.replication import Judgement, judge_standbys, judge_topics
from operations.status_lines import Line, ReadyAnswer, State, api_line, ingress_line, lines
from runtime.process import Transient
from runtime.settings import Settings
from schemas.topics import SPECS
from tables.database import connect, connect_now, is_transient
from tables.server import list_standbys, read_synchronous_names
from tables.status import OTHER_SCHEMA
from topics.cluster import read_cluster

STATEMENT_TIMEOUT_S = 10.0
DATABASE_TIMEOUT_S = 15.0
"""For all statements together: a server that accepts connections and is frozen enforces no statement timeout."""
READY_TIMEOUT_S = 3.0
COPIES_TIMEOUT_S = 5.0
LOOPBACK = "127.0.0.1"
EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, never listened on


async def collect(settings: Settings, reason_of: Callable[[BaseException], str]) -> list[Line]:
    """Collect the lines of the report. `reason_of` renders an error for people."""
    away: dict[str, str] = {}
    database: status.DatabaseStatus | None = None
    kafka: status.KafkaStatus | None = None
    schema: list[Line] = []
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            database = await _read_database(settings)
    except OTHER_SCHEMA as error:
        schema = [Line("schema", "wrong", f"not of this version: {reason_of(error)}", "campaigns db migrate")]
    except Exception as error:
        if not is_transient(error):  # a timeout is an OSError, too
            raise
        is_slow = isinstance(error, TimeoutError)
        away["PostgreSQL"] = f"no answer within {DATABASE_TIMEOUT_S:.0f} s" if is_slow else reason_of(error)
    try:
        kafka = await status.read_kafka(settings, None if database is None else database.positions)
        if database is not None:
            kafka = await _without_handled(settings, kafka)
    except Transient as error:
        away["Kafka"] = reason_of(error)
    ingress = await asyncio.to_thread(_query_ready, settings.ingress_host, settings.ingress_port)
    api = await asyncio.to_thread(_query_ready, settings.api_host, settings.api_port)
    sessions = 0 if database is None else database.sessions.get("campaigns-api", 0)
    found = lines(database, kafka, datetime.now(UTC), away)
    copies = await asyncio.to_thread(_copies, settings, away)
    return [*schema, *found, *copies, api_line(api, sessions), ingress_line(ingress)]


def _copies(settings: Settings, away: Mapping[str, str]) -> list[Line]:
    """Replicas and standbys that are not as they should be. A server that does not answer has its own line."""
    found: list[tuple[str, Judgement | None]] = []
    if "Kafka" not in away:
        with suppress(Transient):
            cluster = read_cluster(settings, COPIES_TIMEOUT_S)
            ours = [settings.topic(spec.name) for spec in SPECS]
            known = {name: cluster.replication[name] for name in ours if name in cluster.replication}
            found.append(("replication", judge_topics(known, cluster.brokers)))
    if "PostgreSQL" not in away:
        with suppress(psycopg.OperationalError):
            url = settings.database_url.get_secret_value()
            with connect_now(
                url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
            ) as connection:
                found.append(("standby", judge_standbys(list_standbys(connection), read_synchronous_names(connection))))
    states: dict[str, State] = {"ok": "ok", "warning": "look", "wrong": "wrong"}
    return [
        Line(about, states[judged.state], judged.found, judged.next_step)
        for about, judged in found
        if judged is not None and (judged.state != "ok" or about == "standby")
    ]


def _query_ready(host: str, port: int) -> ReadyAnswer:
    """Query /ready of a process at its address in the settings."""
    if port == 0:
        return ReadyAnswer("a port of its own choice", None)
    url = f"http://{LOOPBACK if host in EVERY_ADDRESS else host}:{port}/ready"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=READY_TIMEOUT_S) as response:
            return ReadyAnswer(url, response.status)
    except urllib.error.HTTPError as error:
        with error:
            return ReadyAnswer(url, error.code)
    except (OSError, http.client.HTTPException):
        return ReadyAnswer(url, None)


async def _read_database(settings: Settings) -> status.DatabaseStatus:
    url = settings.database_url.get_secret_value()
    async with await connect(
        url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
    ) as connection:
        return await status.read_database(connection, settings)


async def _without_handled(settings: Settings, kafka: status.KafkaStatus) -> status.KafkaStatus:
    """Subtract redriven and dropped dead letters, if PostgreSQL still answers."""
    url = settings.database_url.get_secret_value()
    try:
        async with asyncio.timeout(DATABASE_TIMEOUT_S):
            async with await connect(
                url, application_name="campaigns-status", statement_timeout_s=STATEMENT_TIMEOUT_S
            ) as connection:
                return await status.without_handled(connection, kafka)
    except Exception as error:
        if not is_transient(error):
            raise
        return kafka
