"""A measurement without a peer: its table and its line of JSON."""

from __future__ import annotations

import json

from bench.contest import Arena
from bench.page import measurement_section
from bench.solo import Measured, SoloStage, Table

MEASURED = Measured([Table("by process", ("", "MiB"), [["sink", "50"]])], 1.0, {"memory_mb": 50}, ["It is small."])


def unused(_arena: Arena, _note: object) -> Measured:
    return MEASURED


def test_the_line_of_json_has_the_figures_that_decide() -> None:
    line = json.loads(MEASURED.json_line("idle"))
    assert line == {"stage": "idle", "peer": None, "memory_mb": 50, "ours_right": 1.0}


def test_the_section_has_tables_meaning_and_what_was_left_out() -> None:
    stage = SoloStage("idle", "Idle", "What does it cost?", unused, ["An open page."])
    section = measurement_section(stage, MEASURED, "2026-11-26", 0.5)
    assert "### Idle: by process\n\n|  | MiB |\n|---|---:|\n| sink | 50 |\n" in section
    assert section.index("- It is small.") < section.index("- An open page.")
