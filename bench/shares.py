"""Gives a process a share of a core, by a control group of its own. It needs Linux and root."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PERIOD_US = 10_000
"""A short period: a process that has used its share waits for a few milliseconds at most."""
ROOTS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))
"""Where the controller is: in version 1 of control groups, and in version 2."""


def root_of_groups() -> Path | None:
    """The folder in which control groups with a limit of CPU time can be created; None: they cannot."""
    return next((root for root in ROOTS if _has_controller(root) and os.access(root, os.W_OK)), None)


@contextmanager
def limited(pid: int, share: float, root: Path) -> Iterator[None]:
    """Let a process and its threads use so many cores (0.25: a quarter of one) while the body runs."""
    group = root / f"bench-{uuid.uuid4().hex[:10]}"
    group.mkdir()
    try:
        for name, value in _limits(root, share).items():
            (group / name).write_text(value)
        (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        _move_back(group, root)
        group.rmdir()


def _has_controller(root: Path) -> bool:
    controllers = root / "cgroup.subtree_control"
    return "cpu" in controllers.read_text().split() if controllers.exists() else (root / "cpu.cfs_quota_us").exists()


def _limits(root: Path, share: float) -> dict[str, str]:
    quota = str(round(PERIOD_US * share))
    if (root / "cgroup.subtree_control").exists():
        return {"cpu.max": f"{quota} {PERIOD_US}"}
    return {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": quota}


def _move_back(group: Path, root: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        (root / "cgroup.procs").write_text(pid)
