"""Measurements: stages in which the product has no peer, such as what it costs when it has nothing to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.contest import Arena
from bench.report import markdown

Note = Callable[[str], None]
"""Shows a line of progress."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures, ready to be shown. The first column names the row."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        """The table in Markdown."""
        return list(markdown(self.headings, self.rows))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a measurement found. `right`: the share of its results that are right, from 0 to 1."""

    tables: Sequence[Table]
    right: float
    summary: Mapping[str, object]
    """The figures that decide, for programs."""
    notes: Sequence[str] = field(default=())
    """What the figures mean, a sentence each."""

    def json_line(self, stage: str) -> str:
        """One line for programs, like that of a contest."""
        return json.dumps({"stage": stage, "peer": None, **self.summary, "ours_right": round(self.right, 4)})


@dataclass(frozen=True, slots=True)
class SoloStage:
    """A stage without a peer."""

    name: str
    title: str
    question: str
    """What is measured, in a few sentences."""
    measure: Callable[[Arena, Note], Measured]
    not_measured: Sequence[str]
    """What it leaves out, a sentence each."""
    needs_kafka: bool = True
    needs_postgres: bool = True
    is_large: bool = False
    """Whether it takes many minutes or much disk, so that it runs only if it is requested."""

    def environments(self) -> frozenset[str]:
        """A stage without a peer needs no environment."""
        return frozenset()
