"""Starts a child under a guard (`stack.guard`), so that the child cannot outlive this process.

`GuardedProcess` handles one child, and its methods block. The supervisor adds restarts, an order and several children.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

GUARD = Path(__file__).with_name("guard.py")
GUARD_SLACK_S = 20.0
"""Additional time for the guard after the deadline of the child, to kill it and to remove its data."""


class ChildNotStarted(Exception):
    """The program could not be started."""


@dataclass(frozen=True)
class Program:
    """A program to run, and how to end it."""

    argv: Sequence[str]
    log_file: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)  # it may contain secrets
    cwd: Path = Path("/")
    uid: int | None = None
    gid: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_deadline_s: float = 10.0
    throw_away: Sequence[Path] = ()
    """Files and folders that the guard removes after the child has ended."""
    locks: Sequence[int] = ()
    """Descriptors of locks. The guard keeps them open until the child has ended, even if this process ends before."""


class GuardedProcess:
    """One running child with its guard."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._deadline_s = program.stop_deadline_s
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            pass_fds=program.locks,
        )
        self._returncode: int | None = None
        self._lock = threading.Lock()
        self.pid = self._begin(program)

    def _begin(self, program: Program) -> int:
        spec = {
            "argv": list(program.argv),
            "env": dict(program.env),
            "cwd": str(program.cwd),
            "uid": program.uid,
            "gid": program.gid,
            "log_file": str(program.log_file),
            "stop_signal": int(program.stop_signal),
            "stop_deadline_s": program.stop_deadline_s,
            "remove": [str(folder) for folder in program.throw_away],
        }
        assert self._guard.stdin is not None
        assert self._guard.stdout is not None
        self._guard.stdin.write(json.dumps(spec).encode() + b"\n")
        self._guard.stdin.flush()
        word, _, rest = self._guard.stdout.readline().decode().strip().partition(" ")  # `started PID`
        if word != "started":
            self._reap()
            raise ChildNotStarted(f"{program.argv[0]}: {rest or 'the guard ended'}")
        return int(rest)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait until the child has ended and its files are removed. Returns its exit code (negative for a signal)."""
        self._guard.wait(timeout_s)
        return self._reap()

    def poll(self) -> int | None:
        """The exit code, or None while the child runs."""
        return None if self._guard.poll() is None else self._reap()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the child, not to its guard."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # the child has just ended
                os.kill(self.pid, number)

    def request_stop(self) -> None:
        """Request a stop of the child. It does not wait for the end."""
        with self._lock:
            if self._guard.stdin is not None and not self._guard.stdin.closed:
                self._guard.stdin.close()

    def stop(self) -> int:
        """Stop the child, kill it after its deadline, and return its exit code."""
        self.request_stop()
        return self.wait(self._deadline_s + GUARD_SLACK_S)

    def _reap(self) -> int:
        self._guard.wait()
        self.request_stop()
        with self._lock:
            if self._returncode is None:
                assert self._guard.stdout is not None
                word, _, rest = self._guard.stdout.read().decode().strip().partition(" ")
                self._guard.stdout.close()
                # A killed guard does not report an exit code. The kernel has ended its child.
                self._returncode = int(rest) if word == "exited" else -int(signal.SIGKILL)
            return self._returncode

    def __enter__(self) -> Self:
        """Enter a block. The child is stopped when the block ends."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the child."""
        self.stop()
