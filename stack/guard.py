"""The guard: a program of its own that runs one child and outlives its parent just long enough to end it.

It is started as `python -I -S guard.py` with a pipe as its standard input. The first line is what to run (JSON, so
that no secret stands in a list of processes). While the pipe is open the parent lives; when it closes, for whatever
reason, `kill -9` included, the child is asked to stop, then killed, and throw-away folders are removed.
Standard output tells the parent `started PID` and `exited CODE` (negative: a signal).

Uses the standard library alone and imports nothing of ours: it must start in milliseconds and stay small.
"""

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

# The pipe says at once that the parent is gone. That its pid changed is asked now and then as well, because a
# process forked by the parent without exec would hold the pipe open.
PARENT_CHECK_S = 2.0
PR_SET_PDEATHSIG = 1
KILL_WAIT_S = 10.0


def main() -> None:
    """Run what standard input says until it ends, or until the parent does."""
    os.umask(0o077)  # logs and data are the owner's alone
    parent = os.getppid()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    stopping = Stopping()
    signal.signal(signal.SIGTERM, stopping.ask)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    spec = json.loads(_first_line())
    try:
        child = _start(spec)
    except OSError as error:
        _remove(spec["remove"])
        _say(f"refused {error}")
        sys.exit(1)
    _say(f"started {child.pid}")
    try:
        _watch(child, parent, wake, stopping)
        _end(child, spec["stop_signal"], spec["stop_deadline_s"])
    finally:
        _remove(spec["remove"])
    _say(f"exited {child.returncode}")


class Stopping:
    """Whether someone asked the guard itself to end (SIGTERM)."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """Remember it; the wake-up pipe ends the wait."""
        self.asked = True


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(1)  # the parent died before it said what to run
        line += piece
    return line


def _start(spec: dict[str, Any]) -> "subprocess.Popen[bytes]":
    stop_signal: int = spec["stop_signal"]

    def before_exec() -> None:
        # Linux ends the child even if the guard itself is killed with SIGKILL.
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
            start_new_session=True,  # a Ctrl-C in the terminal is for the parent, which then stops us in order
            preexec_fn=before_exec,  # noqa: PLW1509 - the guard has one thread
        )


def _watch(child: "subprocess.Popen[bytes]", parent: int, wake: int, stopping: Stopping) -> None:
    """Return when the child has ended, the parent has, or either was told to."""
    while child.poll() is None and not stopping.asked and os.getppid() == parent:
        readable, _, _ = select.select([0, wake], [], [], PARENT_CHECK_S)
        if wake in readable:
            os.read(wake, 512)
        if 0 in readable:  # closed, or a word: both mean stop
            return


def _end(child: "subprocess.Popen[bytes]", stop_signal: int, deadline_s: float) -> None:
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(stop_signal)
        try:
            child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            _kill_group(child.pid)
            child.wait(KILL_WAIT_S)
    _kill_group(child.pid)  # what the child itself left behind


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(pid, signal.SIGKILL)


def _remove(paths: list[str]) -> None:
    """Remove throw-away files and folders, though a dying grandchild may still write into them."""
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
        with contextlib.suppress(OSError):  # the last one out removes the folder around them
            os.rmdir(os.path.dirname(path))  # noqa: PTH106, PTH120


def _say(word: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # the parent is gone, and that is why we are here
        os.write(1, word.encode() + b"\n")


if __name__ == "__main__":
    main()
