"""CPU seconds and memory of a process and all processes below it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.1
_MIB = 1024 * 1024


@dataclass(slots=True)
class Usage:
    """What the processes used while they were measured."""

    cpu_s: float = 0.0
    memory_mb: float = 0.0
    """The largest sum of their resident memory."""


@contextmanager
def measured(pid: int | None) -> Iterator[Usage]:
    """Measure the tree of `pid` while the body runs; the figures are complete after it. None: they stay 0.

    Processes that end during the measurement count up to their last sample.
    """
    usage = Usage()
    if pid is None:
        yield usage
        return
    root = psutil.Process(pid)
    ending = threading.Event()
    before = _cpu_by_process(root)
    seen = dict(before)

    def sample() -> None:
        seen.update(_cpu_by_process(root))
        usage.memory_mb = max(usage.memory_mb, _memory_mb(root))

    def watch() -> None:
        while not ending.wait(SAMPLE_S):
            sample()

    thread = threading.Thread(target=watch, name="usage", daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        ending.set()
        thread.join()
        sample()
        usage.cpu_s = sum(seen.values()) - sum(before.values())


def _tree(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_by_process(root: psutil.Process) -> dict[psutil.Process, float]:
    found = {}
    for process in _tree(root):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue  # it has ended
        found[process] = times.user + times.system
    return found


def _memory_mb(root: psutil.Process) -> float:
    total = 0
    for process in _tree(root):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total / _MIB
