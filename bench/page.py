"""Writes `docs/benchmarks.md`. Each stage has a section, and a run replaces only the sections that it measured."""

from __future__ import annotations

import platform
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import psutil

from bench.contest import CaseResult, Contest
from bench.environments import versions
from bench.report import losses, table
from bench.solo import Measured, SoloStage

WIDTH = 120
HEAD = """\
# Benchmarks

`make bench` measures each stage against its peers and writes this page. `make bench-ingress` measures one stage. The
peers have environments of their own, whose packages `bench/peers/` pins. Kafka and Postgres are real. The large stages
take many minutes and up to 40 GB of disk, so they run only with `make bench ARGS=--large` or, for one stage, with
`make bench-sink ARGS=--large`. With `--keep FOLDER` the table of ten million rows is there for the next run. With
`--rows-max 1000000` the stages of growth end at that size.

- The product and its peers run in turn, at least three times in one run, on the same servers and with the same input.
- Trust the ratios. Absolute speeds hold for the named machine only, and drift with its load.
- A load average near or above the number of cores means that other programs ran too. Then only large differences count.
- `right` is the share of the results that are right. A fast program with wrong results is no faster.
- CPU and memory are those of the contestant's own processes. Servers and the load generator are not included.
"""
OURS = ("confluent-kafka", "faust-streaming", "granian", "psycopg", "pydantic")
"""Our packages whose versions decide the speed."""


def with_sections(page: str, sections: Mapping[str, str]) -> str:
    """The page with some sections replaced, or added in alphabetical order. Other sections stay as they are."""
    found = dict(re.findall(r"<!-- begin (\S+) -->\n(.*?)<!-- end \1 -->\n", page, re.DOTALL))
    merged = {**found, **sections}
    parts = [f"<!-- begin {name} -->\n{merged[name]}<!-- end {name} -->\n" for name in sorted(merged)]
    return "\n".join([HEAD, *parts])


def section(stage: Contest[Any], results: Sequence[CaseResult], rounds: int, measured_on: str, load: float) -> str:
    """The section of one stage. `load`: processes that were waiting for a core before the run."""
    lines = [f"## {stage.title}", "", *_wrapped(stage.question), ""]
    lines += _wrapped(f"Measured on {measured_on} in {rounds} rounds. {_machine(load)}")
    lines += ["", *_wrapped(f"Versions: {_versions(stage)}.")]
    for result in results:
        lines += ["", f"### {stage.title}: {result.title}", "", *table(result)]
    lines += ["", f"### {stage.title}: contestants", ""]
    lines += _list([f"**{each.name}**: {each.configuration}" for each in (stage.ours, *stage.peers)])
    lines += ["", f"### {stage.title}: what was not compared", "", *_list(stage.not_compared)]
    lines += ["", f"### {stage.title}: where the product is behind", ""]
    lines += _list(losses(results) or ["In no figure of this run."])
    return "\n".join(lines) + "\n"


def measurement_section(stage: SoloStage, measured: Measured, measured_on: str, load: float) -> str:
    """The section of a stage without a peer."""
    lines = [f"## {stage.title}", "", *_wrapped(stage.question), ""]
    lines += _wrapped(f"Measured on {measured_on}. {_machine(load)}")
    for table_ in measured.tables:
        lines += ["", f"### {stage.title}: {table_.title}", "", *table_.lines()]
    if measured.notes:
        lines += ["", f"### {stage.title}: what the figures mean", "", *_list(measured.notes)]
    lines += ["", f"### {stage.title}: what was not measured", "", *_list(stage.not_measured)]
    return "\n".join(lines) + "\n"


def _machine(load: float) -> str:
    memory_gb = psutil.virtual_memory().total / 1024**3
    return (
        f"Machine: {psutil.cpu_count()} cores ({platform.machine()}), {memory_gb:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}. Load average before the run: {load:.1f}."
    )


def _versions(stage: Contest[Any]) -> str:
    ours = {name: version(name) for name in OURS}
    peers = {name: number for each in sorted(stage.environments()) for name, number in versions(each).items()}
    return ", ".join(f"{name} {number}" for name, number in {**ours, **peers}.items())


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _list(items: Sequence[str]) -> list[str]:
    return [line for item in items for line in _bullet(item)]


def _bullet(text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    yield f"- {lines[0]}"
    yield from (f"  {line}" for line in lines[1:])
