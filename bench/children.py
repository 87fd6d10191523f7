"""Starts contestants as child processes, with an environment that contains nothing of the caller's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
READY_S = 60.0
END_S = 30.0
PROCESS = """
import importlib, sys
from runtime.process import run_process
from runtime.settings import read_settings
sys.exit(run_process(sys.argv[1], importlib.import_module(sys.argv[2]).run, read_settings()))
"""
"""Runs one process of the pipeline as `campaigns` does, without the time to import the command line."""


class ChildFailed(RuntimeError):
    """A contestant ended, or was not ready in time. The text has the end of its log."""


@contextmanager
def child(
    argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program while the body runs, in `folder` if one is given. Its output goes to `log`. It is ended with TERM,
    else killed.
    """
    clean = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    with log.open("ab") as stream:
        running = subprocess.Popen([str(word) for word in argv], env=clean, cwd=folder, stdout=stream, stderr=stream)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(END_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def process_argv(module: str) -> list[str]:
    """The command of one process of the pipeline, such as `producers.ingress.process`."""
    return [sys.executable, "-c", PROCESS, module.split(".")[-2], module]


def wait_until(is_ready: Callable[[], bool], running: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a child is ready. Raises ChildFailed if it ends before, or takes too long."""
    end = time.monotonic() + READY_S
    while not is_ready():
        if running.poll() is not None or time.monotonic() > end:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
            raise ChildFailed("\n".join([f"not ready: {running.args!r}", *lines]))
        time.sleep(0.02)  # a process says nothing when it is ready, so it is tried again


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether a server listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
