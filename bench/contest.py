"""Contests: the product and its peers do the same work in turn, several times in one run, on the same servers.

Absolute speeds drift with the machine and its load. Ratios of runs that follow each other drift less, so only ratios
are compared. A run also states the share of its results that are right, because a wrong result may be fast.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from bench.environments import is_installed

ROUNDS_MIN = 3


@dataclass(frozen=True, slots=True)
class Arena:
    """The servers of a contest, and its size. `kafka_pid` and `postgres_pid` are known for embedded servers only."""

    kafka: str
    database_url: str
    folder: Path
    """For logs and files of the contestants. It is deleted at the end."""
    kept: Path | None = None
    """For large tables that a later run uses again; None: they are built for this run."""
    kafka_pid: int | None = None
    postgres_pid: int | None = None
    is_smoke: bool = False
    """A smoke run is tiny: it proves that everything runs, and its times mean nothing."""
    rows_max: int | None = None
    """The largest size of a stage that grows; None: each size."""

    def sizes(self, full: Sequence[int], smoke: Sequence[int]) -> Sequence[int]:
        """The sizes of a stage that grows. Without one below `rows_max`, the smallest."""
        if self.is_smoke:
            return smoke
        return [size for size in full if self.rows_max is None or size <= self.rows_max] or full[:1]

    def items(self, full: int, smoke: int) -> int:
        """The number of items for this size."""
        return smoke if self.is_smoke else full

    @staticmethod
    def prefix() -> str:
        """A prefix of topics that no other run uses."""
        return f"bench-{uuid.uuid4().hex[:10]}."


@dataclass(frozen=True, slots=True)
class Run:
    """What one contestant did once. CPU and memory are those of its own processes, and not of the servers."""

    items: int
    seconds: float
    cpu_s: float
    memory_mb: float
    right: float
    """The share of the results that are right, from 0 to 1."""
    more: Mapping[str, float] = field(default_factory=dict)
    """Further figures, by the heading of their column, such as `p99 ms`."""

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    @property
    def cpu_s_per_million(self) -> float:
        """CPU seconds for a million items."""
        return self.cpu_s / self.items * 1e6


Task = TypeVar("Task")
"""What a stage's cases vary: sizes and rates. Each stage has a type of its own."""


@dataclass(frozen=True, slots=True)
class Contestant(Generic[Task]):
    """One program that takes part."""

    name: str
    configuration: str
    """How it is configured, in a sentence: a peer gets its best configuration."""
    opened: Callable[[Arena], AbstractContextManager[Callable[[Task], Run]]]
    """Starts what all its runs share, and yields the function that does the work of a case once."""
    environment: str | None = None
    """The name of its own Python environment; None: it runs in ours."""

    @property
    def is_available(self) -> bool:
        """Whether its environment is installed."""
        return self.environment is None or is_installed(self.environment)


@dataclass(frozen=True, slots=True)
class Case(Generic[Task]):
    """One contest: all contestants do the same work."""

    title: str
    work: Task
    without: frozenset[str] = frozenset()
    """Names of peers that do not take part, because this work says nothing about them."""
    is_in_smoke: bool = True
    """Whether a smoke run holds it. A case that starts processes again and proves nothing more stays out."""
    rounds_max: int | None = None
    """Most rounds, for a case that is long and compares nothing. None: as many as the run has."""


@dataclass(frozen=True, slots=True)
class Contest(Generic[Task]):
    """The contests of one stage. The first case is the one that is compared; the others describe it further."""

    name: str
    title: str
    question: str
    """What is measured, in a few sentences."""
    ours: Contestant[Task]
    peers: Sequence[Contestant[Task]]
    cases: Sequence[Case[Task]]
    not_compared: Sequence[str]
    """What the contest leaves out, a sentence each."""
    needs_postgres: bool = False
    needs_kafka: bool = True
    is_large: bool = False
    """Whether it takes many minutes or much disk, so that it runs only if it is requested."""

    def environments(self) -> frozenset[str]:
        """The environments that its peers need."""
        return frozenset(peer.environment for peer in self.peers if peer.environment)


@dataclass(frozen=True, slots=True)
class PeerComparison:
    """Ours against one peer. A ratio above 1 means that ours is faster."""

    peer: str
    ratios: tuple[float, ...]
    ours_right: float
    peer_right: float

    @property
    def median(self) -> float:
        """The median of the ratios of the rounds."""
        return statistics.median(self.ratios)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All runs of one case, by the name of the contestant. Ours comes first."""

    title: str
    ours: str
    runs: Mapping[str, Sequence[Run]]

    def comparisons(self) -> list[PeerComparison]:
        """Ours against each peer that ran; the fastest peer is last."""
        ours = self.runs[self.ours]
        found = [
            PeerComparison(
                name,
                tuple(our.rate / their.rate for our, their in zip(ours, runs, strict=True)),
                min(run.right for run in ours),
                min(run.right for run in runs),
            )
            for name, runs in self.runs.items()
            if name != self.ours
        ]
        return sorted(found, key=lambda each: each.median, reverse=True)


def hold(stage: Contest[Task], arena: Arena, rounds: int, note: Callable[[str], None]) -> list[CaseResult]:
    """Hold every case: each contestant does its work once in a round, in turn. Odd rounds reverse the order.

    A contestant whose environment is not installed does not take part.
    """
    with ExitStack() as ending:
        available = [each for each in (stage.ours, *stage.peers) if each.is_available]
        opened = {each.name: ending.enter_context(each.opened(arena)) for each in available}
        return [
            _hold(case, stage.ours.name, opened, min(rounds, case.rounds_max or rounds), note)
            for case in stage.cases
            if case.is_in_smoke or not arena.is_smoke
        ]


def _hold(
    case: Case[Task],
    ours: str,
    opened: Mapping[str, Callable[[Task], Run]],
    rounds: int,
    note: Callable[[str], None],
) -> CaseResult:
    runs: dict[str, list[Run]] = {name: [] for name in opened if name not in case.without}
    for number in range(rounds):
        for name in list(runs)[:: -1 if number % 2 else 1]:
            run = opened[name](case.work)
            runs[name].append(run)
            note(f"{case.title}, round {number + 1} of {rounds}: {name}: {run.rate:,.0f}/s, {run.right:.0%} right")
    return CaseResult(case.title, ours, runs)
