"""The CPU seconds and the memory of processes."""

from __future__ import annotations

import subprocess
import sys

from bench.usage import measured

BUSY = """
import time
held = bytearray(50_000_000)
while time.process_time() < 0.2: pass
print(1, flush=True)
input()
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


def test_the_work_of_a_child_counts_for_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        with measured(parent.pid) as usage:
            assert parent.stdout.readline() == b"1\n"
        parent.stdin.write(b"\n")
    assert usage.cpu_s > 0.15
    assert usage.memory_mb > 50


def test_without_a_process_nothing_is_measured() -> None:
    with measured(None) as usage:
        pass
    assert (usage.cpu_s, usage.memory_mb) == (0.0, 0.0)
