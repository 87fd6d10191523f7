"""Runs `campaigns verify` in the background, and measures it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.children import ROOT
from bench.contest import Arena
from bench.usage import Usage, measured
from bench.worlds import environment_of
from runtime.settings import Settings

REPORT = "verify.json"
"""The file in the folder of the arena that gets what the command prints."""


@contextmanager
def verifying(arena: Arena, settings: Settings, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], Usage]]:
    """Run `campaigns verify` with these options. Its memory is complete after the body."""
    argv = [sys.executable, "-m", "cli", "verify", *options]
    environment = {**environment_of(settings), "PYTHONPATH": str(ROOT)}
    with (
        report_of(arena).open("wb") as report,
        (arena.folder / "verify.log").open("ab") as log,
        subprocess.Popen(argv, env=environment, cwd=arena.folder, stdout=report, stderr=log) as running,
    ):
        try:
            with measured(running.pid) as usage:
                yield running, usage
        finally:
            running.terminate()


def report_of(arena: Arena) -> Path:
    """The file with what the last command printed."""
    return arena.folder / REPORT
