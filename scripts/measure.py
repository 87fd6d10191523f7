"""Run the demo, and print the CPU seconds and the largest memory of each of its processes.

    python -m scripts.measure --recipients 20000 --mps 400

The options are those of `campaigns demo`. The result of the demo comes first. CPU seconds include the start of a
process. Processes that live for less than half a second may be missed.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

EVERY_S = 0.5
PROCESSES = ("ingress", "reconciler", "scheduler", "sender", "sink", "stats-publisher", "api")


@dataclass(slots=True)
class Use:
    """What one operating-system process has used."""

    name: str
    cpu_s: float = 0.0
    memory_bytes: int = 0


def name_of(command: list[str]) -> str:
    """The part of the demo that this command line runs."""
    words = [word for each in command for word in each.split()]
    if any("postgres" in Path(word).name for word in words[:1]) or "postgres:" in words:
        return "postgres"
    if "kafka.Kafka" in words:
        return "kafka"
    return next((each for each in PROCESSES if each in words), "demo and simulator" if words else "")


def sample(root: psutil.Process, known: dict[psutil.Process, Use]) -> None:
    """Add the present use of the demo and all processes below it."""
    found = {*known, root, *root.children(recursive=True)}
    for process in found:
        try:
            with process.oneshot():
                use = known.setdefault(process, Use(""))
                use.name = name_of(process.cmdline()) or use.name  # a new process first has the command of its parent
                times = process.cpu_times()
                use.cpu_s = times.user + times.system
                use.memory_bytes = max(use.memory_bytes, process.memory_info().rss)
        except psutil.Error:
            continue  # it has ended; its last figures stay


def main() -> int:
    """Run the demo with the options of this command; returns its exit code."""
    demo = psutil.Popen([str(Path(sys.executable).with_name("campaigns")), "demo", "--json", *sys.argv[1:]])
    known: dict[psutil.Process, Use] = {}
    while demo.poll() is None:
        try:
            sample(demo, known)
        except psutil.NoSuchProcess:
            break
        try:
            demo.wait(EVERY_S)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            continue
    print(f"{'process':<20} {'CPU s':>8} {'MiB':>6}")
    names = sorted({use.name for use in known.values()})
    for name in names:
        uses = [use for use in known.values() if use.name == name]
        memory = max(use.memory_bytes for use in uses) / 2**20
        print(f"{name:<20} {sum(use.cpu_s for use in uses):>8.1f} {memory:>6.0f}")
    return int(demo.wait() or 0)


if __name__ == "__main__":
    raise SystemExit(main())
