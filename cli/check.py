"""`campaigns check`: settings, Kafka, topics, Postgres, schema and programs, a line each with the next step.

It changes nothing. A finding is `ok`, `warning` (works, but see) or `wrong` (will not work).
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import psycopg

from cli.console import report_invalid_settings
from runtime.process import EXIT_TRANSIENT, Transient
from runtime.settings import Settings, WrongSettings, read_settings
from schemas.topics import SPECS
from tables.migrate import SchemaState, read_state
from tables.server import ServerState, read_server
from topics.apply import REPLICAS
from topics.cluster import read_cluster

TIMEOUT_S = 5.0
POSTGRES_SUPPORTED = range(15, 19)
MARKS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One line."""

    about: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    next_step: str = ""


def run_check(*, as_json: bool) -> int:
    """Say everything; returns 0 where nothing is wrong, 75 where something is."""
    try:
        settings = read_settings()
    except WrongSettings as wrong:
        return report_invalid_settings(wrong)
    findings = list(look(settings))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    for finding in findings:
        step = f"  → {finding.next_step}" if finding.next_step else ""
        print(f"{MARKS[finding.state]}  {finding.about}: {finding.found}{step}", file=sys.stderr)
    return EXIT_TRANSIENT if any(finding.state == "wrong" for finding in findings) else 0


def look(settings: Settings) -> Iterator[CheckFinding]:
    """Every finding."""
    yield from _programs()
    yield from _settings(settings)
    yield from _kafka(settings)
    yield from _postgres(settings)


def _programs() -> Iterator[CheckFinding]:
    yield CheckFinding("Python", "ok", platform.python_version())
    if shutil.which("psql") is None:
        yield CheckFinding("psql", "warning", "not installed", "`campaigns psql -c SQL` works all the same")


def _settings(settings: Settings) -> Iterator[CheckFinding]:
    yield CheckFinding("settings", "ok", "valid")
    if not settings.whatsapp_access_token.get_secret_value():
        yield CheckFinding("WhatsApp", "warning", "no access token", "set CAMPAIGNS_WHATSAPP_ACCESS_TOKEN to send")
    if not settings.webhook_app_secrets:
        yield CheckFinding(
            "webhooks", "warning", "no app secret", "set CAMPAIGNS_WEBHOOK_APP_SECRETS: none is taken without"
        )
    if settings.lease_s <= settings.send_timeout_s:
        yield CheckFinding(
            "leases",
            "wrong",
            "a lease ends before an answer may come",
            "CAMPAIGNS_LEASE_S must be longer than CAMPAIGNS_SEND_TIMEOUT_S",
        )


def _kafka(settings: Settings) -> Iterator[CheckFinding]:
    where = settings.kafka_bootstrap_servers
    try:
        cluster = read_cluster(settings, TIMEOUT_S)
    except Transient as error:
        yield CheckFinding("Kafka", "wrong", f"{where}: {error}", "is it running? `campaigns up` starts one")
        return
    brokers = cluster.brokers
    enough = brokers >= REPLICAS
    yield CheckFinding(
        "Kafka",
        "ok" if enough else "warning",
        f"{where}, {brokers} broker(s)",
        "" if enough else f"fewer than {REPLICAS}: a lost disk loses acknowledged records",
    )
    wanted = {settings.topic(spec.name): spec.partitions for spec in SPECS}
    missing = [name for name in wanted if name not in cluster.partitions]
    small = [name for name, partitions in wanted.items() if 0 < cluster.partitions.get(name, 0) < partitions]
    if missing or small:
        said = [f"{len(missing)} missing"] if missing else []
        said += [f"{len(small)} with too few partitions"] if small else []
        yield CheckFinding("topics", "wrong", ", ".join(said), "campaigns topics apply")
    else:
        yield CheckFinding("topics", "ok", f"{len(wanted)} there")


def _postgres(settings: Settings) -> Iterator[CheckFinding]:
    try:
        with psycopg.connect(
            settings.database_url.get_secret_value(), autocommit=True, connect_timeout=round(TIMEOUT_S)
        ) as connection:
            server = read_server(connection)
            yield from _version(server)
            yield from _durability(server)
            yield from _schema(read_state(connection))
    except psycopg.OperationalError as error:
        yield CheckFinding("PostgreSQL", "wrong", str(error).strip(), "is it running? `campaigns up` starts one")


def _version(state: ServerState) -> Iterator[CheckFinding]:
    known = state.major_version in POSTGRES_SUPPORTED
    step = "" if known else f"supported are {POSTGRES_SUPPORTED.start} to {POSTGRES_SUPPORTED.stop - 1}"
    yield CheckFinding("PostgreSQL", "ok" if known else "warning", str(state.major_version), step)


def _durability(state: ServerState) -> Iterator[CheckFinding]:
    if state.synchronous_commit == "off":
        yield CheckFinding("synchronous_commit", "wrong", "off", "turn it on: a crash could repeat a send")


def _schema(state: SchemaState) -> Iterator[CheckFinding]:
    if state.changed:
        found = f"applied from another text than this version's: {', '.join(state.changed)}"
        yield CheckFinding("schema", "wrong", found, "campaigns db migrate explains what to do")
    elif state.missing:
        yield CheckFinding("schema", "wrong", f"{state.missing} migration(s) missing", "campaigns db migrate")
    elif state.unknown:
        found = f"{state.unknown} migration(s) newer than this version"
        yield CheckFinding("schema", "wrong", found, "install that version")
    else:
        yield CheckFinding("schema", "ok", f"migration {state.newest:04d}")
