"""The guard: a separate program that runs one child, and ends the child when its parent ends.

The parent starts it as `python -I -S guard.py` with a pipe as its standard input. The first line is the program to
run, as JSON, so that no secret appears in a list of processes. The pipe is open while the parent lives. When it closes,
even after a `kill -9` of the parent, the guard stops the child, kills it after a deadline, and removes throw-away
folders. On standard output it reports `started PID` or `not_started ERROR`, and then `exited CODE` (negative for a
signal).

It uses only the standard library and imports no other module of the project, so that it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

PARENT_CHECK_S = 2.0
"""Interval between checks of the parent's pid. The pipe usually shows the end of the parent at once, but a process that
the parent forked without exec keeps the pipe open."""

PR_SET_PDEATHSIG = 1
"""Linux's number for the prctl option that signals a child when its parent ends."""

KILL_WAIT_S = 10.0
"""Longest wait for the end of a killed child."""


def main() -> None:
    """Run the program from standard input until it ends, or until the parent ends."""
    os.umask(0o077)  # only the owner may read logs and data
    parent = os.getppid()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    stop_request = StopRequest()
    signal.signal(signal.SIGTERM, stop_request.receive)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    spec = json.loads(_first_line())
    try:
        child = _start(spec)
    except OSError as error:
        _remove(spec["remove"])
        _report(f"not_started {error}")
        sys.exit(1)
    _report(f"started {child.pid}")
    try:
        _watch(child, parent, wake, stop_request)
        _end(child, spec["stop_signal"], spec["stop_deadline_s"])
    finally:
        _remove(spec["remove"])
    _report(f"exited {child.returncode}")


class StopRequest:
    """Whether the guard itself received SIGTERM."""

    def __init__(self) -> None:
        self.is_received = False

    def receive(self, *_: object) -> None:
        """Record the signal. The wake-up pipe of signals ends the wait in `_watch`."""
        self.is_received = True


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(1)  # the parent ended before it sent the program
        line += piece
    return line


def _start(spec: dict[str, Any]) -> subprocess.Popen[bytes]:
    stop_signal: int = spec["stop_signal"]

    def before_exec() -> None:
        # Linux ends the child even if the guard is killed with SIGKILL.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop_signal)

    with open(spec["log_file"], "ab") as log:  # noqa: PTH123 - no pathlib: the guard stays small
        return subprocess.Popen(
            spec["argv"],
            env=spec["env"],
            cwd=spec["cwd"],
            user=spec["uid"],
            group=spec["gid"],
            extra_groups=None if spec["uid"] is None else [],
            umask=0o077,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C goes to the parent, which stops the guard in order
            preexec_fn=before_exec,  # noqa: PLW1509 - the guard has one thread
        )


def _watch(child: subprocess.Popen[bytes], parent: int, wake: int, stop_request: StopRequest) -> None:
    """Wait until the child or the parent has ended, or a stop is requested."""
    while child.poll() is None and not stop_request.is_received and os.getppid() == parent:
        readable, _, _ = select.select([0, wake], [], [], PARENT_CHECK_S)
        if wake in readable:
            os.read(wake, 512)
        if 0 in readable:  # the pipe was closed, or there is input: both request a stop
            return


def _end(child: subprocess.Popen[bytes], stop_signal: int, deadline_s: float) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(stop_signal)
        try:
            child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            _kill_group(child.pid)
            child.wait(KILL_WAIT_S)
    _kill_group(child.pid)  # the child may have left processes behind


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
        os.killpg(pid, signal.SIGKILL)


def _remove(paths: list[str]) -> None:
    """Remove throw-away files and folders. It retries, because a process that is ending may still write into them."""
    for path in paths:
        for _ in range(20):
            if os.path.isdir(path):  # noqa: PTH112
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108
            if not os.path.exists(path):  # noqa: PTH110
                break
            time.sleep(0.1)
        with contextlib.suppress(OSError):  # the folder around them is not empty: another guard removes it
            os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120


def _report(word: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent has ended, so nothing reads the report
        os.write(1, word.encode() + b"\n")


if __name__ == "__main__":
    main()
