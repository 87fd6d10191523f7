"""The sink against itself: two processes, a table of ten million rows, and a replay that changes nothing."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import LiteralString

from bench.contest import ROUNDS_MIN, Arena, Run
from bench.large import grow, planned
from bench.sink.applied import applied
from bench.sink.progress import Connected
from bench.sink.stage import SINK_WRITER, SMOKE_RECIPIENTS
from bench.sink.verdict import OURS, rows_right
from bench.sink.workload import Workload, records_of, start_of_now
from bench.sink.world import create_rows, create_topics, release
from bench.solo import Measured, Note, SoloStage, Table
from bench.worlds import connected, own_database
from runtime.settings import Settings
from tables.migrate import migrate

RECIPIENTS = 100_000
SMALL_RECIPIENTS = 200_000
JOINED_SHARE = 0.4
"""One sink and two sinks are measured after this share, when both have their partitions."""
LARGE_ROWS, SMOKE_LARGE_ROWS = 10_000_000, 4_000
COPIES, SMOKE_COPIES = 8, 1
"""How often a replay has all events again. Three rounds replay ten million statuses."""
ONE, TWO, LARGE, REPLAY = "one sink", "two sinks", "one sink, 10 million rows", "a replay that changes nothing"
CHANGED = "changed rows"
VERSIONS: LiteralString = """
CREATE TEMP VIEW versions AS
SELECT tableoid AS of, ctid AS place, xmin::text AS writer FROM campaign_recipients UNION ALL
SELECT tableoid, ctid, xmin::text FROM messages
"""
"""Where each row is, and the transaction that wrote it: both change with every update."""


def _measure(arena: Arena, note: Note) -> Measured:
    with ExitStack() as ending:
        variants: dict[str, Callable[[], Run]] = {
            ONE: partial(_small, arena, 1),
            TWO: partial(_small, arena, 2),
            LARGE: ending.enter_context(_large(arena, note)),
            REPLAY: ending.enter_context(_replay(arena, note)),
        }
        runs: dict[str, list[Run]] = {name: [] for name in variants}
        for number in range(arena.items(ROUNDS_MIN, 1)):
            for name in list(variants)[:: -1 if number % 2 else 1]:
                run = variants[name]()
                runs[name].append(run)
                note(f"round {number + 1}: {name}: {run.rate:,.0f}/s, {run.right:.0%} right")
    right = min(run.right for found in runs.values() for run in found)
    summary = {f"{name}, ratio": round(statistics.median(_ratios(found, runs[ONE])), 3) for name, found in runs.items()}
    return Measured([_table(runs)], right, summary)


def _ratios(runs: Sequence[Run], first: Sequence[Run]) -> list[float]:
    return [run.rate / one.rate for run, one in zip(runs, first, strict=True)]


def _table(runs: dict[str, list[Run]]) -> Table:
    figures = ("events/s", "to one sink (min-max)", "CPU s per million", "Postgres CPU s / million", "MiB", "right")
    rows = []
    for name, found in runs.items():
        ratios = _ratios(found, runs[ONE])
        rows.append([
            name,
            f"{statistics.median(run.rate for run in found):,.0f}",
            f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})",
            f"{statistics.median(run.cpu_s_per_million for run in found):.1f}",
            f"{statistics.median(run.more['Postgres CPU s / million'] for run in found):.1f}",
            f"{max(run.memory_mb for run in found):.0f}",
            f"{min(run.right for run in found):.0%}",
            f"{max(run.more[CHANGED] for run in found):,.0f}" if CHANGED in found[0].more else "",
        ])  # fmt: skip
    return Table("the sink against itself", ("", *figures, CHANGED), rows)


def _small(arena: Arena, processes: int) -> Run:
    workload = Workload(arena.items(SMALL_RECIPIENTS, SMOKE_RECIPIENTS), start_of_now())
    with own_database(arena) as settings, connected(settings) as connection:
        create_rows(settings.database_url.get_secret_value(), workload)
        total = create_topics(settings, records_of(workload))
        writer = replace(SINK_WRITER, processes=processes)
        run = applied(arena, writer, settings, connection, total, JOINED_SHARE)
        return replace(run, right=rows_right(connection, OURS, workload))


@contextmanager
def _large(arena: Arena, note: Note) -> Iterator[Callable[[], Run]]:
    """A table of ten million rows. Each run takes recipients that are still planned, spread over all of it."""
    with own_database(arena) as settings, connected(settings) as connection:
        url = settings.database_url.get_secret_value()
        migrate(url)
        grow(url, start_of_now(), arena.items(LARGE_ROWS, SMOKE_LARGE_ROWS), note)
        yield partial(_run_large, arena, settings, connection)


def _run_large(arena: Arena, settings: Settings, connection: Connected) -> Run:
    given = planned(connection, arena.items(RECIPIENTS, SMOKE_RECIPIENTS))
    workload = Workload(len(given), start_of_now(), given=given)
    release(connection, given)
    connection.execute("CHECKPOINT")
    own = settings.model_copy(update={"topic_prefix": arena.prefix()})
    run = applied(arena, SINK_WRITER, own, connection, create_topics(own, records_of(workload)))
    return replace(run, right=rows_right(connection, OURS, workload))


@contextmanager
def _replay(arena: Arena, note: Note) -> Iterator[Callable[[], Run]]:
    """A topic with events that are all applied already. The offsets of the sink are deleted before each run."""
    workload = Workload(arena.items(RECIPIENTS, SMOKE_RECIPIENTS), start_of_now())
    with own_database(arena) as settings, connected(settings) as connection:
        create_rows(settings.database_url.get_secret_value(), workload)
        records = records_of(workload)
        applied(arena, SINK_WRITER, settings, connection, create_topics(settings, records))
        again = settings.model_copy(update={"topic_prefix": arena.prefix()})
        copies = arena.items(COPIES, SMOKE_COPIES)
        total = create_topics(again, (record for _ in range(copies) for record in records))
        connection.execute(VERSIONS)
        note(f"a replay of {total:,} events is prepared")
        yield partial(_run_replay, arena, again, connection, workload, total)


def _run_replay(arena: Arena, settings: Settings, connection: Connected, workload: Workload, total: int) -> Run:
    connection.execute("DELETE FROM sink_offsets")
    connection.execute("DROP TABLE IF EXISTS before")
    connection.execute("CREATE TEMP TABLE before AS SELECT * FROM versions")
    run = applied(arena, SINK_WRITER, settings, connection, total)
    [(changed,)] = connection.execute(
        "SELECT count(*) FROM (SELECT * FROM versions EXCEPT SELECT * FROM before) AS changed"
    ).fetchall()
    right = rows_right(connection, OURS, workload) if changed == 0 else 0.0
    return replace(run, right=right, more={**run.more, CHANGED: changed})


SINK_SCALE = SoloStage(
    "sink-scale",
    "Sink, at scale",
    "One sink applies a backlog to a table that has its recipients only: 200,000 messages with 4.2 events each. Beside "
    "it, two sinks apply the same; one sink applies the events of 100,000 recipients in a table of ten "
    "million rows with their messages; and one sink replays 3.4 million statuses that are all applied already. The "
    "table of ten million rows is filled with all triggers. All counters are compared with all rows at the end of each "
    f"run. Each ratio compares runs of the same round, and there are {ROUNDS_MIN} rounds.",
    _measure,
    (
        "More than two sinks: the two cores are shared with Kafka and Postgres.",
        "A table that does not fit into the memory of the machine.",
    ),
    is_large=True,
)
