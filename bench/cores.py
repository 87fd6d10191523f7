"""Gives programs cores of their own while they are measured, so that no contestant computes on the core of another.

A server of one thread is measured by what one core does. The load generator and Kafka have the other cores, the same
for every contestant. Systems without affinity (macOS) and machines with one core change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil

CAN_PIN = hasattr(os, "sched_setaffinity")


@contextmanager
def apart(measured: Iterable[int], others: Iterable[int]) -> Iterator[None]:
    """While the body runs, `measured` processes have the first core, and `others` the rest. Then all have all."""
    cores = sorted(os.sched_getaffinity(0)) if CAN_PIN else []
    if len(cores) < 2:
        yield
        return
    pids, rest = list(measured), list(others)
    _pin(pids, cores[:1])
    _pin(rest, cores[1:])
    try:
        yield
    finally:
        _pin([*pids, *rest], cores)


def _pin(pids: Iterable[int], cores: list[int]) -> None:
    """Pin all threads of processes. Threads that they start later inherit it."""
    for pid in pids:
        for thread in psutil.Process(pid).threads():
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(thread.id, cores)
