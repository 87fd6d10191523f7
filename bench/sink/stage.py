"""The cases of the sink: events of messages that are read, and with some that fail."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.children import child, process_argv, wait_until
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.environments import python_of
from bench.sink.debezium import ENVIRONMENT, connect_argv, group_of
from bench.sink.progress import Connected, SinkPlace, committed, printed, stored
from bench.sink.verdict import DEBEZIUM, OURS, PEER, rows_right, statuses_right
from bench.sink.workload import Workload, records_of, start_of_now
from bench.sink.world import create_rows, create_topics
from bench.usage import measured
from runtime.settings import Settings

HERE = Path(__file__).parent
WARM_SHARE = 0.1
"""The share of the events after which the measurement begins: the start of a process is not measured."""
END_SHARE = 0.9
"""The share at which it ends: a peer that commits large batches waits for the rest of its last one."""
POLL_S = 0.02
DEADLINE_S = 600.0
SMOKE_RECIPIENTS = 200

Argv = Callable[[SinkPlace], Sequence[str | Path]]
Progress = Callable[[SinkPlace], AbstractContextManager[Callable[[], int]]]


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
    progress: Progress

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
        place = SinkPlace(settings, connection, arena.folder / f"{settings.topic_prefix}sink.log")
        with writer.progress(place) as reached:
            run = _applied(arena, writer, place, reached, total)
        more = {**run.more, "status right %": statuses_right(connection, writer.table, workload) * 100}
        return replace(run, right=rows_right(connection, writer.table, workload), more=more)


def _applied(arena: Arena, writer: Writer, place: SinkPlace, reached: Callable[[], int], total: int) -> Run:
    """Run the process until everything is applied. The result is not judged yet."""
    with child(writer.argv(place), place.log, _environment(place.settings)) as running:
        wait_until(lambda: reached() >= total * WARM_SHARE, running, place.log)
        first, began = reached(), time.perf_counter()
        first = 0 if first >= total else first  # a tiny input may be done at the first look
        with measured(running.pid) as client, measured(arena.postgres_pid) as server:
            count = _wait(reached, total * END_SHARE, running)
            seconds = time.perf_counter() - began
        _wait(reached, total, running)
    more = {"Postgres CPU s / million": server.cpu_s / max(1, count - first) * 1e6}
    return Run(count - first, seconds, client.cpu_s, client.memory_mb, 0.0, more)


def _wait(reached: Callable[[], int], target: float, running: subprocess.Popen[bytes]) -> int:
    """Wait until so many records are applied, or the process has ended, or it takes too long; returns their number."""
    end = time.monotonic() + DEADLINE_S
    while (count := reached()) < target and time.monotonic() < end and running.poll() is None:
        time.sleep(POLL_S)  # the end of the work shows in its progress only
    return count


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


def _peer_argv(name: str, python: Path, place: SinkPlace) -> list[str | Path]:
    return [python, HERE / name, place.settings.kafka_bootstrap_servers, place.topic, place.database_url]


def _peer_group(place: SinkPlace) -> AbstractContextManager[Callable[[], int]]:
    return committed(place, f"{place.topic}.peer")


def _connect_group(place: SinkPlace) -> AbstractContextManager[Callable[[], int]]:
    return committed(place, group_of(place))


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
        Writer(lambda _place: process_argv("sinks.sink"), OURS, stored).opened,
    ),
    (
        Contestant(
            "consume + executemany",
            "confluent-kafka `consume(500)`, orjson, and an upsert for each event by psycopg's `executemany`, which is "
            "pipelined, on a plain table without facts, counters and checks.",
            Writer(partial(_peer_argv, "executemany.py", Path(sys.executable)), PEER, printed).opened,
        ),
        Contestant(
            "Quix Streams PostgreSQLSink",
            "An upsert by primary key on the same plain table, without metadata columns and schema updates. A commit "
            "for 40,000 records or a second, so that the sink removes most repeated keys before it writes.",
            Writer(partial(_peer_argv, "quix.py", python_of("quix")), PEER, _peer_group).opened,
            environment="quix",
        ),
        Contestant(
            "Debezium JDBC",
            "One worker of Kafka Connect with two tasks and a heap of 1 GiB: upsert, reduction buffer, UNNEST, batches "
            "of 5,000. Its table has the fields of an event, so no transform touches a value.",
            Writer(connect_argv, DEBEZIUM, _connect_group).opened,
            environment=ENVIRONMENT,
        ),
    ),
    (
        Case("messages that are read", Messages(40_000)),
        Case("one message of 20 fails", Messages(40_000, one_fails_of=20), is_in_smoke=False),
    ),
    (
        "Redpanda Connect and Confluent's JDBC sink, which keep the last event as Debezium does.",
        "Two sinks, several brokers, and a Postgres on another machine.",
    ),
    needs_postgres=True,
)
