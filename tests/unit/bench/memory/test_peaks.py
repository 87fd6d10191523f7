"""The largest memory of each kind of process."""

from __future__ import annotations

from bench.idle.processes import ProcessUse
from bench.memory.peaks import Peaks
from bench.memory.stage import rows


def test_a_peak_is_that_of_a_kind_and_that_of_all_at_one_moment() -> None:
    peaks = Peaks()
    peaks.take([ProcessUse("sink", 0.0, 30.0), ProcessUse("sink", 0.0, 30.0), ProcessUse("api", 0.0, 5.0)])
    peaks.take([ProcessUse("sink", 0.0, 10.0), ProcessUse("api", 0.0, 50.0)])
    assert peaks.by_kind == {"sink": 60.0, "api": 50.0}
    assert peaks.together_mb == 65.0


def test_the_largest_kind_comes_first_and_one_that_is_missing_has_nothing() -> None:
    idle, busy = Peaks({"api": 70.0}, 70.0), Peaks({"api": 71.0, "sink": 300.0}, 360.0)
    assert rows([idle, busy]) == [
        ["sink", "0", "300"], ["api", "70", "71"], ["all together, at one moment", "70", "360"]
    ]  # fmt: skip
