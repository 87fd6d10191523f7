"""The run is complete when no part of it has work left."""

from __future__ import annotations

from cli.demo.completion import Snapshot
from verdict.rows import AtWork

RESTING = AtWork(0, 0, 0, 0)


def look(*, is_quiet: bool = True, work: AtWork = RESTING, lag: int | None = 0) -> Snapshot:
    return Snapshot(is_quiet, 10, work, lag)


def test_the_run_is_at_rest_only_when_no_work_is_left() -> None:
    assert look().is_calm
    assert look().describe() == "at rest"
    assert not look(is_quiet=False).is_calm
    assert not look(lag=1).is_calm
    assert not look(lag=None).is_calm
    for n in range(4):
        work = AtWork(*(int(n == at) for at in range(4)))
        assert not look(work=work).is_calm
