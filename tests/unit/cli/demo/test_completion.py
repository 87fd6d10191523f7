"""The run is complete when no part of it has work left."""

from __future__ import annotations

from cli.demo.completion import Snapshot
from verdict.rows import AtWork

RESTING = AtWork(0, 0, 0, 0)


def snapshot(*, is_quiet: bool = True, work: AtWork = RESTING, lag: int | None = 0) -> Snapshot:
    return Snapshot(is_quiet, 10, work, lag)


def test_the_run_is_complete_only_if_no_work_is_left() -> None:
    assert snapshot().is_at_rest
    assert snapshot().describe() == "at rest"
    assert not snapshot(is_quiet=False).is_at_rest
    assert not snapshot(lag=1).is_at_rest
    assert not snapshot(lag=None).is_at_rest
    for n in range(4):
        work = AtWork(*(int(n == at) for at in range(4)))
        assert not snapshot(work=work).is_at_rest
