"""Which stages a command line names."""

from __future__ import annotations

import pytest

from bench.__main__ import _chosen, _options


@pytest.mark.parametrize(
    ("argv", "chosen"),
    [
        (["sink"], {"sink"}),
        (["sink", "--large"], {"sink-long", "sink-scale"}),
        (["sink-scale"], {"sink-scale"}),
    ],
)
def test_large_stages_run_only_if_they_are_requested(argv: list[str], chosen: set[str]) -> None:
    assert {stage.name for stage in _chosen(_options(argv))} == chosen


def test_without_a_name_all_stages_of_a_size_run() -> None:
    assert not any(stage.is_large for stage in _chosen(_options([])))
    assert all(stage.is_large for stage in _chosen(_options(["--large"])))
