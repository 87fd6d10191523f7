"""The contests of the sink: events of messages that are read, with some that fail, in any order, and many of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.children import process_argv
from bench.contest import Arena, Case, Contest, Contestant, Run
from bench.environments import python_of
from bench.sink.applied import Writer, applied
from bench.sink.debezium import ENVIRONMENT, connect_argv, group_of
from bench.sink.progress import SinkPlace, committed, printed, stored
from bench.sink.verdict import DEBEZIUM, OURS, PEER, rows_right, statuses_right
from bench.sink.workload import WINDOW, Workload, records_of, start_of_now
from bench.sink.world import create_rows, create_topics
from bench.worlds import connected, own_database

HERE = Path(__file__).parent
SMOKE_RECIPIENTS = 200
ANY_ORDER = 1 << 62
SINK_WRITER = Writer(lambda _place: process_argv("sinks.sink"), OURS, stored, group="sink")


@dataclass(frozen=True, slots=True)
class Messages:
    """What is applied: 4.2 events for each message, in random order within a window of events."""

    recipients: int
    one_fails_of: int = 0
    window: int = WINDOW


@contextmanager
def _opened(writer: Writer, arena: Arena) -> Iterator[Callable[[Messages], Run]]:
    """Yield the function that applies once."""
    yield partial(_run, arena, writer)


def _run(arena: Arena, writer: Writer, messages: Messages) -> Run:
    recipients = arena.items(messages.recipients, SMOKE_RECIPIENTS)
    workload = Workload(recipients, start_of_now(), messages.one_fails_of, messages.window)
    with own_database(arena) as settings, connected(settings) as connection:
        create_rows(settings.database_url.get_secret_value(), workload)
        total = create_topics(settings, records_of(workload))
        run = applied(arena, writer, settings, connection, total)
        more = {**run.more, "status right %": statuses_right(connection, writer.table, workload) * 100}
        return replace(run, right=rows_right(connection, writer.table, workload), more=more)


def _peer_argv(name: str, python: Path, place: SinkPlace) -> list[str | Path]:
    return [python, HERE / name, place.settings.kafka_bootstrap_servers, place.topic, place.database_url]


def _peer_group(place: SinkPlace) -> AbstractContextManager[Callable[[], int]]:
    return committed(place, f"{place.topic}.peer")


def _connect_group(place: SinkPlace) -> AbstractContextManager[Callable[[], int]]:
    return committed(place, group_of(place))


EXECUTEMANY = Writer(partial(_peer_argv, "executemany.py", Path(sys.executable)), PEER, printed)
QUIX = Writer(partial(_peer_argv, "quix.py", python_of("quix")), PEER, _peer_group)
CONNECT = Writer(connect_argv, DEBEZIUM, _connect_group)
EXECUTEMANY_NAME = "consume + executemany"
QUIX_NAME = "Quix Streams PostgreSQLSink"
CONNECT_NAME = "Debezium JDBC"
CONNECTORS = frozenset({QUIX_NAME, CONNECT_NAME})
"""They write a failure as they write any other event."""

PRODUCT = Contestant(
    "campaign-streams",
    "One process. A transaction has 10,000 records at most: messages, rows, counters and offsets.",
    partial(_opened, SINK_WRITER),
)
PEERS = (
    Contestant(
        EXECUTEMANY_NAME,
        "confluent-kafka `consume(500)`, orjson, and an upsert for each event by psycopg's `executemany`, which is "
        "pipelined, on a plain table without facts, counters and checks.",
        partial(_opened, EXECUTEMANY),
    ),
    Contestant(
        QUIX_NAME,
        "An upsert by primary key on the same plain table, without metadata columns and schema updates. A commit "
        "for 40,000 records or a second, so that the sink removes most repeated keys before it writes.",
        partial(_opened, QUIX),
        environment="quix",
    ),
    Contestant(
        CONNECT_NAME,
        "One worker of Kafka Connect with two tasks and a heap of 1 GiB: upsert, reduction buffer, UNNEST, batches "
        "of 5,000. Its table has the fields of an event, so no transform touches a value.",
        partial(_opened, CONNECT),
        environment=ENVIRONMENT,
    ),
)
RIGHT = (
    "A result is right if status, times and message id of the row are those that follow from all its events. For the "
    "product the counters and messages must be right too. CPU is that of the client; Postgres has a column of its own."
)
NOT_COMPARED = (
    "Redpanda Connect and Confluent's JDBC sink, which keep the last event as Debezium does.",
    "Several brokers, and a Postgres on another machine.",
)

SINK = Contest(
    "sink",
    "Sink",
    "A backlog of `recipient.events` is applied to Postgres: 4.2 events a message, 5 % of them twice, in random order "
    f"within 5,000. {RIGHT}",
    PRODUCT,
    PEERS,
    (
        Case("messages that are read", Messages(40_000)),
        Case(
            "one message of 20 fails",
            Messages(40_000, one_fails_of=20),
            without=CONNECTORS,
            is_in_smoke=False,
        ),
    ),
    NOT_COMPARED,
    needs_postgres=True,
)

SINK_LONG = Contest(
    "sink-long",
    "Sink, long backlogs",
    "The same with more events. In the first case the events of all messages come in random order, so a batch has "
    "hardly two events of one recipient and little can be folded. In the second, events are in random order within "
    f"5,000, and a peer in Java has time to get warm. {RIGHT}",
    PRODUCT,
    PEERS,
    (
        Case("100,000 messages, events in any order", Messages(100_000, window=ANY_ORDER)),
        Case(
            "200,000 messages",
            Messages(200_000),
            without=frozenset({EXECUTEMANY_NAME, QUIX_NAME}),
            is_in_smoke=False,
        ),
    ),
    NOT_COMPARED,
    needs_postgres=True,
    is_large=True,
)
