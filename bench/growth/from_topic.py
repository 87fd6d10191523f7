"""`campaigns verify --from-topic`: all rows of a campaign are computed again from the events that the topic keeps."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bench.contest import Arena
from bench.growth.campaign import SIZES, SMOKE_SIZES, fold_counters
from bench.growth.kept_events import fill, note_as_applied
from bench.growth.verifying import report_of, verifying
from bench.large import grow
from bench.sink.progress import Connected
from bench.sink.workload import start_of_now
from bench.solo import Measured, Note, SoloStage, Table
from bench.usage import Usage, measured
from bench.worlds import connected, own_installation
from runtime.settings import Settings

POLL_S = 1.0
"""Between two looks at the size of the database."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Size:
    """The figures at one size."""

    rows: int
    records: int
    seconds: float
    command: Usage
    server: Usage
    shadow_mb: float
    is_right: bool

    @property
    def rate(self) -> float:
        """Records a second, the other checks of the command included."""
        return self.records / self.seconds


def _measure(arena: Arena, note: Note) -> Measured:
    found: list[_Size] = []
    records, last_id = 0, UUID(int=0)
    with own_installation(arena) as settings:
        url = settings.database_url.get_secret_value()
        for rows in arena.sizes(SIZES, SMOKE_SIZES):
            grow(url, start_of_now(), rows, note)
            filled = fill(settings, last_id)
            records, last_id = records + filled.records, filled.last
            asyncio.run(note_as_applied(settings))
            asyncio.run(fold_counters(url))
            note(f"verify-topic: {rows:,} rows and {records:,} records are there")
            found.append(_at(arena, settings, rows, records))
            note(f"verify-topic: {rows:,} rows took {found[-1].seconds:.1f} s, right: {found[-1].is_right}")
    last = found[-1]
    return Measured(
        [_table(found)],
        statistics.mean(size.is_right for size in found),
        {
            "rows": last.rows,
            "records": last.records,
            "seconds": round(last.seconds, 1),
            "memory_mb": round(last.command.memory_mb),
            "memory_mb_of_smallest": round(found[0].command.memory_mb),
        },
        (
            "A run is right if the verdict is `exact`, all records were read, and each row equals its events.",
            "The time has the other checks of `campaigns verify` too. `growth` measures these alone.",
            "`shadow MiB` is the disk of the shadow tables, which are dropped at the end.",
        ),
    )


def _at(arena: Arena, settings: Settings, rows: int, records: int) -> _Size:
    with connected(settings) as connection:
        before_mb = largest_mb = _database_mb(connection)
        began = time.monotonic()
        with (
            measured(arena.postgres_pid) as server,
            verifying(arena, settings, "--from-topic", "--json") as (
                running,
                command,
            ),
        ):
            while not _has_ended(running):
                largest_mb = max(largest_mb, _database_mb(connection))
            seconds = time.monotonic() - began
    is_right = running.returncode == 0 and _is_exact(json.loads(report_of(arena).read_bytes()), rows, records)
    return _Size(rows, records, seconds, command, server, largest_mb - before_mb, is_right)


def _has_ended(running: subprocess.Popen[bytes]) -> bool:
    try:
        running.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _database_mb(connection: Connected) -> float:
    [(size,)] = connection.execute("SELECT pg_database_size(current_database())").fetchall()
    return float(size) / _MIB


def _is_exact(document: dict[str, Any], rows: int, records: int) -> bool:
    found = document["from_topic"]
    counts = {name: found.get(name) for name in ("rows", "equal", "records", "refused")}
    return document["verdict"] == "exact" and counts == {
        "rows": rows, "equal": rows, "records": records, "refused": {},
    }  # fmt: skip


def _table(found: list[_Size]) -> Table:
    rows = [
        [
            f"{size.rows:,} rows",
            f"{size.records:,}",
            f"{size.seconds:.1f}",
            f"{size.rate:,.0f}",
            f"{size.command.cpu_s / size.records * 1e6:.1f}",
            f"{size.server.cpu_s / size.records * 1e6:.1f}",
            f"{size.command.memory_mb:.0f}",
            f"{size.shadow_mb:,.0f}",
            "yes" if size.is_right else "no",
        ]
        for size in found
    ]
    headings = (
        "", "records", "seconds", "records/s", "CPU us a record", "Postgres us", "MiB at its peak", "shadow MiB",
        "no difference",
    )  # fmt: skip
    return Table("`campaigns verify --from-topic`", headings, rows)


VERIFY_TOPIC = SoloStage(
    "verify-topic",
    "Growth, from the topic",
    "One campaign grows to ten million recipients with their messages, and `recipient.events` keeps the events of all "
    "of them: 31 records for ten rows, in random order within windows of 5,000. At each size `campaigns verify "
    "--from-topic` computes all rows again from the topic, in shadow tables, and compares every column.",
    _measure,
    (
        "A difference, for which the topic is read a second time, to list the events of the rows that differ.",
        "Sinks and campaigns that work meanwhile.",
        "Tables that do not fit into the memory of the machine.",
    ),
    is_large=True,
)
