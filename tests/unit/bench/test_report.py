"""The table and the lines of JSON of a stage."""

from __future__ import annotations

import json

from bench.contest import CaseResult, Run
from bench.report import json_lines, losses, table

RESULT = CaseResult(
    "small bodies",
    "ours",
    {
        "ours": [Run(1000, 1.0, 0.02, 50, 1.0, {"p99 ms": 4.0}), Run(1000, 2.0, 0.02, 60, 1.0, {"p99 ms": 6.0})],
        "slow": [Run(500, 5.0, 0.05, 90, 0.25), Run(500, 2.0, 0.05, 90, 0.5)],
        "fast": [Run(1000, 0.5, 0.01, 90, 0.0), Run(1000, 0.5, 0.01, 90, 0.0)],
    },
)


def test_the_last_line_of_json_names_the_fastest_peer() -> None:
    lines = [json.loads(line) for line in json_lines("ingress", RESULT)]
    assert [line["peer"] for line in lines] == ["slow", "fast"]
    assert lines[0] == {
        "stage": "ingress", "peer": "slow", "ratio_min": 2.0, "ratio_median": 6.0, "ratio_max": 10.0,
        "ours_right": 1.0, "peer_right": 0.25,
    }  # fmt: skip


def test_the_table_has_a_row_for_each_contestant() -> None:
    assert table(RESULT) == [
        "|  | items/s | ours : it (min-max) | CPU s per million | MiB | right | p99 ms |",
        "|---|---:|---:|---:|---:|---:|---:|",
        "| ours | 750 |  | 20.0 | 60 | 100% | 5.0 |",
        "| slow | 175 | **6.00** (2.00-10.00) | 100.0 | 90 | 25% |  |",
        "| fast | 2,000 | **0.38** (0.25-0.50) | 10.0 | 90 | 0% |  |",
    ]


def test_each_figure_in_which_ours_is_behind_is_named() -> None:
    assert losses([RESULT]) == [
        "small bodies, against fast: the product has 0.38 of the speed, and uses 2.0 times the CPU."
    ]
