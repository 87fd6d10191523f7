"""The logs of `up` stay small, and a child that writes on keeps writing to the same file."""

from __future__ import annotations

import time
from pathlib import Path

from stack.log_rotation import LogRotation, rotate, rotate_large

DEADLINE_S = 20.0


def test_the_content_moves_and_a_child_writes_on(tmp_path: Path) -> None:
    log = tmp_path / "sink.log"
    with log.open("ab", buffering=0) as child:
        for number in range(4):
            child.write(f"line {number}\n".encode())
            rotate(log, kept=2)
        child.write(b"last\n")
    assert log.read_text() == "last\n"
    assert (tmp_path / "sink.log.1").read_text() == "line 3\n"
    assert (tmp_path / "sink.log.2").read_text() == "line 2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sink.log", "sink.log.1", "sink.log.2"]
    assert (tmp_path / "sink.log.1").stat().st_mode & 0o077 == 0


def test_only_a_log_above_the_limit_is_rotated(tmp_path: Path) -> None:
    (tmp_path / "small.log").write_text("x")
    (tmp_path / "large.log").write_text("x" * 100)
    rotate_large(tmp_path, bytes_max=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.log", "large.log.1", "small.log"]


def test_a_log_that_grows_is_rotated_while_the_children_run(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    with LogRotation(tmp_path, bytes_max=10, check_every_s=0.01), log.open("ab", buffering=0) as child:
        child.write(b"x" * 100)
        deadline = time.monotonic() + DEADLINE_S
        while log.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert (tmp_path / "kafka.log.1").stat().st_size == 100
