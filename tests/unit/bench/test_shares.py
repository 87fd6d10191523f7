"""A share of a core is written to the files of either version of control groups, and the group is removed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import shares
from bench.shares import limited, root_of_groups


def version_1(root: Path) -> None:
    (root / "cpu.cfs_quota_us").write_text("-1")


def version_2(root: Path) -> None:
    (root / "cgroup.subtree_control").write_text("memory cpu\n")


def version_2_without_cpu(root: Path) -> None:
    (root / "cgroup.subtree_control").write_text("memory\n")


@pytest.mark.parametrize(
    ("made", "limits"),
    [
        (version_1, {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2000"}),
        (version_2, {"cpu.max": "2000 10000"}),
    ],
)
def test_a_process_is_in_a_group_with_its_limit(
    made: Callable[[Path], None], limits: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path)
    monkeypatch.setattr(shares, "ROOTS", (tmp_path / "missing", tmp_path))
    root = root_of_groups()
    assert root == tmp_path
    with limited(7, 0.2, root):
        [group] = [path for path in tmp_path.iterdir() if path.is_dir()]
        written = {path.name: path.read_text() for path in group.iterdir()}
        for path in group.iterdir():
            path.unlink()  # the kernel removes them with the group
        (group / "cgroup.procs").write_text("7\n")
        monkeypatch.setattr(Path, "rmdir", lambda path: None)
    assert written == {**limits, "cgroup.procs": "7"}
    assert (tmp_path / "cgroup.procs").read_text() == "7"


def test_without_a_controller_of_cpu_time_there_is_no_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version_2_without_cpu(tmp_path)
    monkeypatch.setattr(shares, "ROOTS", (tmp_path / "missing", tmp_path))
    assert root_of_groups() is None
