"""Stats and lists of one campaign that grows from ten thousand to ten million rows, alone and while `verify` runs."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from bench.contest import Arena
from bench.growth.campaign import SIZES, SMOKE_SIZES, fold_counters
from bench.growth.requests import Latencies, paths, requested
from bench.growth.verifying import verifying
from bench.large import grow
from bench.served import served_api
from bench.sink.workload import CAMPAIGN, start_of_now
from bench.solo import Measured, Note, SoloStage, Table
from bench.usage import Usage
from bench.worlds import own_installation
from runtime.settings import Settings

TIMES, SMOKE_TIMES = 200, 2
WARM_TIMES = 20
DEEP_SHARE = 0.9
MUCH = 1.5
"""A request whose median grew more times than this is named."""


@dataclass(frozen=True, slots=True)
class _Size:
    """The figures at one size."""

    rows: int
    alone: Mapping[str, Latencies]
    beside: Mapping[str, Latencies]
    verify_s: float
    verify: Usage
    is_right: bool


def _measure(arena: Arena, note: Note) -> Measured:
    log = arena.folder / "growth.log"
    sizes = arena.sizes(SIZES, SMOKE_SIZES)
    with own_installation(arena) as settings, served_api(settings, log) as api:
        found = [_at(arena, settings, api.port, rows, note) for rows in sizes]
    last, first = found[-1], found[0]
    growth = {name: last.alone[name].median / first.alone[name].median for name in last.alone}
    return Measured(
        [
            _curve("alone: median (p99) in ms", [(size.rows, size.alone) for size in found]),
            _curve("while `campaigns verify` runs: median (p99) in ms", [(size.rows, size.beside) for size in found]),
            _verify_table(found),
        ],
        statistics.mean(size.is_right for size in found),
        {
            "rows": last.rows,
            "largest_ratio_of_medians": round(max(growth.values()), 2),
            "verify_s": round(last.verify_s, 1),
            "verify_memory_mb": round(last.verify.memory_mb),
        },
        (
            *grown(growth, f"From {first.rows:,} to {last.rows:,} rows"),
            "A search for a status of nobody reads 20,000 places of each of two indexes at most.",
            "A run is right if `campaigns verify` finds no difference at any size.",
        ),
    )


def grown(growth: Mapping[str, float], sizes: str) -> Iterator[str]:
    """How the medians of the requests grew, each that grew much by its name. `growth`: how many times, by request."""
    steady = {name: times for name, times in growth.items() if times <= MUCH}
    for name, times in growth.items():
        if name not in steady:
            yield f"{sizes} the median of `{name}` grew {times:.1f} times."
    if steady:
        yield f"{sizes} no other median grew more than {max(steady.values()):.1f} times."


def _at(arena: Arena, settings: Settings, port: int, rows: int, note: Note) -> _Size:
    url = settings.database_url.get_secret_value()
    grow(url, start_of_now(), rows, note)
    asyncio.run(fold_counters(url))
    note(f"growth: {rows:,} rows are there")
    wanted = paths(CAMPAIGN, _deep(url))
    times = arena.items(TIMES, SMOKE_TIMES)
    requested(port, wanted, arena.items(WARM_TIMES, 1), lambda: False)
    alone = requested(port, wanted, times, lambda: False)
    with verifying(arena, settings) as (running, usage):
        began = time.monotonic()
        beside = requested(port, wanted, 1, lambda: running.poll() is None)
        seconds = time.monotonic() - began
        is_right = running.wait() == 0
    note(f"growth: {rows:,} rows: verify took {seconds:.1f} s and {usage.memory_mb:.0f} MiB, right: {is_right}")
    return _Size(rows, alone, beside, seconds, usage, is_right)


def _deep(url: str) -> UUID:
    with psycopg.connect(url, autocommit=True) as connection:
        place = connection.execute(
            "SELECT id FROM campaign_recipients ORDER BY id"
            " OFFSET (SELECT (count(*) * %s)::bigint FROM campaign_recipients) LIMIT 1",
            [DEEP_SHARE],
        ).fetchone()
    assert place is not None
    found: UUID = place[0]
    return found


def _curve(title: str, sizes: Sequence[tuple[int, Mapping[str, Latencies]]]) -> Table:
    names = list(sizes[0][1])
    rows = [[name, *(f"{found[name].median:.1f} ({found[name].p99:.1f})" for _, found in sizes)] for name in names]
    return Table(title, ("", *(f"{rows_:,} rows" for rows_, _ in sizes)), rows)


def _verify_table(found: Sequence[_Size]) -> Table:
    rows = [
        [
            f"{size.rows:,} rows",
            f"{size.verify_s:.1f}",
            f"{size.verify.memory_mb:.0f}",
            "yes" if size.is_right else "no",
        ]
        for size in found
    ]
    return Table("`campaigns verify`", ("", "seconds", "MiB at its peak", "no difference"), rows)


GROWTH = SoloStage(
    "growth",
    "Growth",
    "One campaign grows to ten million recipients with their messages. At each size the API answers the requests of "
    "people who watch it, one after the other on one connection. A deep page begins after nine tenths of them. "
    "The same requests run while `campaigns verify` compares all rows, counters and messages, which takes one core.",
    _measure,
    (
        "Many campaigns: the list reads a page of them by an index.",
        "Tables that do not fit into the memory of the machine.",
        "Exports, which read all rows.",
    ),
    is_large=True,
)
