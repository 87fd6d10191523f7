"""Runs the API of an installation."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.children import accepts, child, free_port, process_argv, wait_until
from bench.worlds import environment_of
from runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class ServedApi:
    """A running API."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def served_api(settings: Settings, log: Path) -> Iterator[ServedApi]:
    """Run the API while the body runs. It accepts connections."""
    port = free_port()
    with child(process_argv("api.server"), log, environment_of(settings, API_PORT=str(port))) as running:
        wait_until(lambda: accepts(port), running, log)
        yield ServedApi(port, running)
