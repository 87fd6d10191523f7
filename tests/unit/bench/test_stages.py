"""Which stages a command line names."""

from __future__ import annotations

import pytest

from bench.stages import chosen


@pytest.mark.parametrize(
    ("names", "is_large", "expected"),
    [
        (["sink"], False, {"sink"}),
        (["sink"], True, {"sink-long", "sink-scale"}),
        (["sink-scale"], False, {"sink-scale"}),
    ],
)
def test_large_stages_run_only_if_they_are_requested(names: list[str], is_large: bool, expected: set[str]) -> None:
    assert {stage.name for stage in chosen(names, is_large=is_large)} == expected


@pytest.mark.parametrize("is_large", [False, True])
def test_without_a_name_all_stages_of_a_size_run(is_large: bool) -> None:
    assert {stage.is_large for stage in chosen([], is_large=is_large)} == {is_large}
