"""Every benchmark runs, in a tiny size. It asserts no times."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bench.__main__ import main
from bench.stages import STAGES

SHORT = ("ingress", "sink")
"""Two stages that compare a process with its peers. The others run in `make test-all`."""


def test_the_stages_of_ingress_and_sink_run_and_their_results_are_right(
    kafka: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(kafka, database_url, capsys, SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("is_large", [False, True])
def test_every_other_stage_runs_and_its_results_are_right(
    kafka: str, database_url: str, capsys: pytest.CaptureFixture[str], is_large: bool
) -> None:
    names = [name for name, stage in STAGES.items() if stage.is_large == is_large and name not in SHORT]
    _run(kafka, database_url, capsys, names, "--large" if is_large else None)


def _run(
    kafka: str,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    names: Sequence[str],
    size: str | None = None,
) -> None:
    given = [*names] if size is None else [size]
    assert main([*given, "--smoke", "--kafka", kafka, "--database-url", database_url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {line["stage"] for line in lines} == set(names)
    assert {line["ours_right"] for line in lines} == {1.0}
