"""Every benchmark runs, in a tiny size. It asserts no times."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.stages import STAGES


def test_every_stage_runs_and_its_results_are_right(
    kafka: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(kafka, database_url, capsys, is_large=False)


@pytest.mark.slow
def test_every_large_stage_runs_and_its_results_are_right(
    kafka: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(kafka, database_url, capsys, is_large=True)


def _run(kafka: str, database_url: str, capsys: pytest.CaptureFixture[str], *, is_large: bool) -> None:
    size = ["--large"] if is_large else []
    assert main(["--smoke", *size, "--kafka", kafka, "--database-url", database_url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {line["stage"] for line in lines} == {name for name, stage in STAGES.items() if stage.is_large == is_large}
    assert {line["ours_right"] for line in lines} == {1.0}
