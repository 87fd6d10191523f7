"""Runs the process of a contestant until it has applied a backlog, and measures the middle of it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.children import child, wait_until
from bench.contest import Arena, Run
from bench.shares import limited, root_of_groups
from bench.sink.progress import Connected, SinkPlace, sharing
from bench.usage import measured
from bench.worlds import environment_of
from runtime.settings import Settings

WARM_SHARE = 0.1
"""The share of the events after which the measurement begins: the start of a process is not measured."""
END_SHARE = 0.9
"""The share at which it ends: a peer that commits large batches waits for the rest of its last one."""
POLL_S = 0.02
DEADLINE_S = 600.0

Argv = Callable[[SinkPlace], Sequence[str | Path]]
Progress = Callable[[SinkPlace], AbstractContextManager[Callable[[], int]]]


@dataclass(frozen=True, slots=True)
class Writer:
    """A contestant: its processes, its table, and how far it is."""

    argv: Argv
    table: str
    progress: Progress
    processes: int = 1
    group: str | None = None
    """The consumer group of the processes. Several are measured once each of them has partitions."""
    core_share: float | None = None
    """The share of a core that each process may use; None: no limit."""


def applied(
    arena: Arena, writer: Writer, settings: Settings, connection: Connected, total: int, warm_share: float = WARM_SHARE
) -> Run:
    """Apply `total` events of the topic, and measure from a share of them. The result is not judged yet."""
    place = SinkPlace(settings, connection, arena.folder / f"{settings.topic_prefix}sink.log")
    with writer.progress(place) as reached, ExitStack() as ending:
        argv = writer.argv(place)
        running = [
            ending.enter_context(child(argv, place.log, environment_of(settings))) for _ in range(writer.processes)
        ]
        for each in running:
            _limit(each.pid, writer.core_share, ending)
        wait_until(lambda: reached() >= total * warm_share, running[0], place.log)
        if writer.group is not None and writer.processes > 1:
            members = sharing(place, settings.group(writer.group))
            wait_until(lambda: reached() >= total or members() == writer.processes, running[0], place.log)
        first, began = reached(), time.perf_counter()
        first = 0 if first >= total else first  # a tiny input may be done at the first look
        with ExitStack() as measuring:
            clients = [measuring.enter_context(measured(each.pid)) for each in running]
            server = measuring.enter_context(measured(arena.postgres_pid))
            count = _wait(reached, total * END_SHARE, running)
            seconds = time.perf_counter() - began
        _wait(reached, total, running)
    more = {"Postgres CPU s / million": server.cpu_s / max(1, count - first) * 1e6}
    cpu_s, memory_mb = sum(each.cpu_s for each in clients), sum(each.memory_mb for each in clients)
    return Run(count - first, seconds, cpu_s, memory_mb, 0.0, more)


def _limit(pid: int, share: float | None, ending: ExitStack) -> None:
    root = root_of_groups()
    if share is not None and root is not None:
        ending.enter_context(limited(pid, share, root))


def _wait(reached: Callable[[], int], target: float, running: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait until so many records are applied, or a process has ended, or it takes too long; returns their number."""
    end = time.monotonic() + DEADLINE_S
    while (count := reached()) < target and time.monotonic() < end and all(each.poll() is None for each in running):
        time.sleep(POLL_S)  # the end of the work shows in its progress only
    return count
