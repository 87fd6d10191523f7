"""What `campaigns up` costs when it has nothing to do: CPU and memory of every process, its servers included."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from bench.children import child, wait_until
from bench.contest import Arena
from bench.idle.processes import KindUse, ProcessUse, by_kind, total, uses
from bench.solo import Measured, Note, SoloStage, Table

SETTLED_S = 75.0
"""The Java compiler is busy for about a minute after a start."""
MEASURED_S = 60.0
SMOKE_S = 0.05
CPU_LIMIT, MEMORY_LIMIT_MB = 0.05, 1024.0


def _measure(arena: Arena, note: Note) -> Measured:
    settled_s, measured_s = (0.0, SMOKE_S) if arena.is_smoke else (SETTLED_S, MEASURED_S)
    with _running(arena) as root:
        note(f"idle: it settles for {settled_s:.0f} s, and is measured for {measured_s:.0f} s")
        time.sleep(settled_s)  # what a start leaves to do is no idle work
        before, started = uses(root), time.monotonic()
        time.sleep(measured_s)  # CPU time is compared over a span of time
        seconds, after = time.monotonic() - started, uses(root)
    found = by_kind(before, after, seconds)
    every = total(found)
    return Measured(
        [Table("a core and memory by process", ("", "processes", "% of a core", "PSS MiB"), _rows([*found, every]))],
        1.0 if _is_same(before, after) else 0.0,
        {"cpu_percent": round(every.cpu_share * 100, 2), "memory_mb": round(every.pss_mb)},
        (
            f"The limits are {CPU_LIMIT:.0%} of a core and {MEMORY_LIMIT_MB:,.0f} MiB for all processes together.",
            "The run is right if no process was started again while it was measured.",
        ),
    )


@contextmanager
def _running(arena: Arena) -> Iterator[psutil.Process]:
    """Yield the process at the top of `campaigns up`. In a smoke run it is this one, because `up` takes seconds."""
    if arena.is_smoke:
        yield psutil.Process(os.getpid())
        return
    folder = arena.folder / "idle"
    folder.mkdir()
    log = folder / "up.log"
    ports = ("--api-port", "0", "--ingress-port", "0", "--simulator-port", "0")
    with child([sys.executable, "-m", "cli", "up", "--json", *ports], log, folder=folder) as running:
        wait_until(lambda: "\n{" in log.read_text(encoding="utf-8"), running, log)
        yield psutil.Process(running.pid)


def _is_same(before: dict[int, ProcessUse], after: dict[int, ProcessUse]) -> bool:
    """Whether the processes of our own kinds are the same ones. A server may end a session and begin another."""
    lasting = [{pid for pid, use in each.items() if not use.kind.startswith("PostgreSQL")} for each in (before, after)]
    return lasting[0] == lasting[1]


def _rows(found: Sequence[KindUse]) -> list[list[str]]:
    return [
        [use.kind, str(use.processes), f"{use.cpu_share * 100:.2f}", f"{use.pss_mb:.0f}"]
        for use in found
    ]  # fmt: skip


IDLE = SoloStage(
    "idle",
    "Idle",
    "`campaigns up` runs every process, the simulator, Kafka and PostgreSQL, and has no campaign. After it has "
    "settled, the CPU time of each process is read for a minute. PSS counts a page that processes share once.",
    _measure,
    (
        "A stack with campaigns that wait: each active campaign adds to the statements of the scheduler.",
        "An open page, which reads a topic.",
    ),
    needs_kafka=False,
    needs_postgres=False,
)
