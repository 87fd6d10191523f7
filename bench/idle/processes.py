"""The processes of `campaigns up` by what they are: CPU time, and the memory that is theirs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

_MIB = 1024 * 1024
POSTGRES = "PostgreSQL, all its processes"


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process at one moment."""

    kind: str
    cpu_s: float
    """Since its start, with its threads that have ended."""
    pss_mb: float
    """Its own memory, and its share of the pages that it shares with others."""


@dataclass(frozen=True, slots=True)
class KindUse:
    """All processes of a kind, over a period."""

    kind: str
    processes: int
    cpu_share: float
    """Of one core: 0.01 is one percent."""
    pss_mb: float


def kind_of(argv: Sequence[str]) -> str:
    """What a process is, by its command line."""
    if not argv:
        return "other"
    program = argv[0].rpartition("/")[2]
    if program.startswith("postgres"):
        return POSTGRES
    if program == "java":
        return "Kafka"
    if any(word.endswith("stack/guard.py") for word in argv):
        return "guards"
    if "-m" in argv and (found := argv[argv.index("-m") + 1 :]):
        return found[1] if found[0] == "cli" and len(found) > 1 else found[0]
    return program


def uses(root: psutil.Process) -> dict[int, ProcessUse]:
    """What each process of the tree has used so far, by pid. A process that ends meanwhile is left out."""
    found = {}
    for process in (root, *root.children(recursive=True)):
        try:
            times, memory = process.cpu_times(), process.memory_full_info()
            found[process.pid] = ProcessUse(kind_of(process.cmdline()), times.user + times.system, memory.pss / _MIB)
        except psutil.Error:
            continue
    return found


def by_kind(before: Mapping[int, ProcessUse], after: Mapping[int, ProcessUse], seconds: float) -> list[KindUse]:
    """What each kind used between two moments, the largest share of a core first."""
    kinds: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for pid, use in after.items():
        first = before[pid].cpu_s if pid in before else 0.0
        kinds[use.kind].append(((use.cpu_s - first) / seconds, use.pss_mb))
    found = [
        KindUse(kind, len(each), sum(share for share, _ in each), sum(memory for _, memory in each))
        for kind, each in kinds.items()
    ]
    return sorted(found, key=lambda use: use.cpu_share, reverse=True)


def total(found: Iterable[KindUse]) -> KindUse:
    """All kinds together."""
    listed = list(found)
    return KindUse(
        "all together",
        sum(each.processes for each in listed),
        sum(each.cpu_share for each in listed),
        sum(each.pss_mb for each in listed),
    )
