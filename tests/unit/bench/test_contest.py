"""The order of the runs, and the comparison of their speeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.contest import Arena, Case, Contest, Contestant, Run, hold

ARENA = Arena("", "", Path())


class Track:
    """Contestants that need a given time, and a record of their runs."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int]] = []

    def contestant(self, name: str, *seconds: float, environment: str | None = None) -> Contestant[int]:
        left = list(seconds)

        def run(work: int) -> Run:
            self.runs.append((name, work))
            return Run(100, left.pop(0), 1.0, 1.0, 1.0)

        return Contestant(name, "", partial(_opened, run), environment)


@contextmanager
def _opened(run: Callable[[int], Run], _arena: Arena) -> Iterator[Callable[[int], Run]]:
    yield run


def stage(*contestants: Contestant[int], cases: tuple[Case[int], ...] = (Case("", 1),)) -> Contest[int]:
    return Contest("s", "S", "", contestants[0], contestants[1:], cases, ())


def test_contestants_run_in_turn_and_every_second_round_in_reverse() -> None:
    track = Track()
    hold(stage(track.contestant("ours", 1, 1, 1), track.contestant("peer", 1, 1, 1)), ARENA, 3, lambda _line: None)
    assert [name for name, _ in track.runs] == ["ours", "peer", "peer", "ours", "ours", "peer"]


def test_the_ratio_of_a_round_compares_the_runs_of_that_round() -> None:
    track = Track()
    held = stage(
        track.contestant("ours", 1, 2, 4), track.contestant("slow", 4, 4, 4), track.contestant("fast", 1, 1, 1)
    )
    [result] = hold(held, ARENA, 3, lambda _line: None)
    slow, fast = result.comparisons()
    assert (slow.peer, slow.ratios, slow.median) == ("slow", (4, 2, 1), 2)
    assert (fast.peer, fast.ratios, fast.median) == ("fast", (1, 0.5, 0.25), 0.5)


def test_a_peer_stays_out_without_its_environment_and_out_of_a_case_that_names_it() -> None:
    track = Track()
    cases = (Case("all", 1), Case("few", 2, without=frozenset({"peer"})))
    absent = track.contestant("absent", environment="no-such-environment")
    hold(stage(track.contestant("ours", 1, 1), track.contestant("peer", 1), absent, cases=cases), ARENA, 1, print)
    assert track.runs == [("ours", 1), ("peer", 1), ("ours", 2)]
