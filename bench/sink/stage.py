"""The cases of the sink: events of messages that are read, and with some that fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.children import child, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.sink.verdict import OURS, PEER, rows_right
from bench.sink.workload import Workload, records_of, start_of_now
from bench.sink.world import create_rows, create_topics
from bench.usage import measured
from runtime.settings import Settings
from schemas.topics import Topic

HERE = Path(__file__).parent
WARM_SHARE = 0.1
"""The share of the events after which the measurement begins: the start of a process is not measured."""
POLL_S = 0.02
DEADLINE_S = 600.0
SMOKE_RECIPIENTS = 200

Connected = psycopg.Connection[tuple[Any, ...]]
Argv = Callable[[Settings], Sequence[str | Path]]
Reached = Callable[[Connected, Path], int]
"""How many records are applied, by the database and the log of the contestant."""


@dataclass(frozen=True, slots=True)
class Messages:
    """What is applied: 4.2 events for each message."""

    recipients: int
    one_fails_of: int = 0


@dataclass(frozen=True, slots=True)
class Writer:
    """A contestant: its process, its table, and how far it is."""

    argv: Argv
    table: str
    reached: Reached

    @contextmanager
    def opened(self, arena: Arena) -> Iterator[Callable[[Messages], Run]]:
        """Yield the function that applies once."""
        yield partial(_run, arena, self)


def _run(arena: Arena, writer: Writer, messages: Messages) -> Run:
    recipients = arena.items(messages.recipients, SMOKE_RECIPIENTS)
    workload = Workload(recipients, start_of_now(), messages.one_fails_of)
    with _database(arena) as settings, _connected(settings) as connection:
        create_rows(settings.database_url.get_secret_value(), workload)
        total = create_topics(settings, records_of(workload))
        log = arena.folder / f"{settings.topic_prefix}sink.log"
        with child(writer.argv(settings), log, _environment(settings)) as running:
            wait_until(lambda: writer.reached(connection, log) >= total * WARM_SHARE, running, log)
            first, began = writer.reached(connection, log), time.perf_counter()
            first = 0 if first >= total else first  # a tiny input may be done at the first look
            with measured(running.pid) as client, measured(arena.postgres_pid) as server:
                end = time.monotonic() + DEADLINE_S
                while (count := writer.reached(connection, log)) < total and time.monotonic() < end:
                    if running.poll() is not None:
                        break
                    time.sleep(POLL_S)  # the end of the work shows in Postgres only
                seconds = time.perf_counter() - began
        right = rows_right(connection, writer.table, workload)
    more = {"Postgres CPU s / million": server.cpu_s / max(1, count - first) * 1e6}
    return Run(count - first, seconds, client.cpu_s, client.memory_mb, right, more)


@contextmanager
def _database(arena: Arena) -> Iterator[Settings]:
    """Settings with a prefix and an empty database of their own."""
    prefix = arena.prefix()
    name = prefix.strip(".").replace("-", "_")
    with psycopg.connect(arena.database_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            yield Settings.model_validate({
                "kafka_bootstrap_servers": arena.kafka,
                "database_url": urlunsplit(urlsplit(arena.database_url)._replace(path=f"/{name}")),
                "topic_prefix": prefix,
            })  # fmt: skip
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _connected(settings: Settings) -> Connected:
    return psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "CAMPAIGNS_DATABASE_URL": settings.database_url.get_secret_value(),
        "CAMPAIGNS_TOPIC_PREFIX": settings.topic_prefix,
    }


def _sink_reached(connection: Connected, _log: Path) -> int:
    row = connection.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM sink_offsets").fetchone()
    return int(row[0]) if row else 0


def _printed(_connection: Connected, log: Path) -> int:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return next((int(line) for line in reversed(lines) if line.isdigit()), 0)


def _executemany_argv(settings: Settings) -> list[str | Path]:
    topic, url = settings.topic(Topic.RECIPIENT_EVENTS), settings.database_url.get_secret_value()
    return [sys.executable, HERE / "executemany.py", settings.kafka_bootstrap_servers, topic, url]


SINK = Contest(
    "sink",
    "Sink",
    "A backlog of `recipient.events` is applied to Postgres: 4.2 events a message, 5 % of them twice, in random order "
    "within 5,000. A result is right if status, times and message id of the row are those that follow from all its "
    "events. For the product the counters and messages must be right too. CPU is that of the client; Postgres has a "
    "column of its own.",
    Contestant(
        "campaign-streams",
        "One process. A transaction has 5,000 records at most: messages, rows, counters and offsets.",
        Writer(lambda _settings: process_argv("sinks.sink"), OURS, _sink_reached).opened,
    ),
    (
        Contestant(
            "consume + executemany",
            "confluent-kafka `consume(500)`, orjson, and an upsert for each event by psycopg's `executemany`, which is "
            "pipelined, on a plain table without facts, counters and checks.",
            Writer(_executemany_argv, PEER, _printed).opened,
        ),
    ),
    (
        Case("messages that are read", Messages(40_000)),
        Case("one message of 20 fails", Messages(40_000, one_fails_of=20), is_in_smoke=False),
    ),
    (
        "Debezium's JDBC sink and other connectors: they keep the last event, and neither counters nor facts.",
        "Two sinks, several brokers, and a Postgres on another machine.",
    ),
    needs_postgres=True,
)
