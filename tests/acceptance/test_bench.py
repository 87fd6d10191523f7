"""Every benchmark runs, in a tiny size. It asserts no times."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.stages import STAGES


def test_every_stage_runs_and_its_results_are_right(
    kafka: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--smoke", "--kafka", kafka, "--database-url", database_url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {line["stage"] for line in lines} == set(STAGES)
    assert {line["ours_right"] for line in lines} == {1.0}
