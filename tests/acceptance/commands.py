"""Runs `campaigns` as users do: as a subprocess, in its own folder, without our variables in the environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

END_DEADLINE_S = 60.0
CAMPAIGNS = str(Path(sys.executable).with_name("campaigns"))
FREE_PORTS = ("--api-port", "0", "--ingress-port", "0", "--simulator-port", "0")


def environment(**more: str) -> dict[str, str]:
    """The environment without our settings, and `campaigns` on the PATH."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CAMPAIGNS_") or name in ("CAMPAIGNS_CACHE_DIR", "CAMPAIGNS_MAVEN_URL")
    }
    return {**kept, "PATH": f"{Path(CAMPAIGNS).parent}:{kept.get('PATH', '')}", **more}


def run(*arguments: str, cwd: Path, timeout_s: float = 60.0, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one `campaigns` command to its end."""
    return subprocess.run(
        [CAMPAIGNS, *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@dataclass
class Up:
    """A running `campaigns up`."""

    process: subprocess.Popen[str]
    folder: Path
    api: str
    ingress: str
    simulator: str
    metrics: dict[str, str]

    def shell(self, line: str) -> str:
        """Run a shell line in the folder of the process. Returns its output. Skips the test if curl is missing."""
        if "curl" in line and shutil.which("curl") is None:
            pytest.skip("needs curl")
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=environment(API=self.api),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        itself = psutil.Process(self.process.pid)
        return [itself, *itself.children(recursive=True)]

    @property
    def stderr(self) -> str:
        """The output on stderr so far."""
        return (self.folder / "up.stderr").read_text()


@contextmanager
def up(folder: Path, **more: str) -> Iterator[Up]:
    """`campaigns up` on free ports, ready for requests. SIGTERM ends it, unless the test has ended it."""
    with (folder / "up.stderr").open("w") as stderr:
        process = subprocess.Popen(
            [CAMPAIGNS, "up", *FREE_PORTS, "--json"],
            cwd=folder,
            env=environment(**more),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"up ended with {process.wait(10)}:\n{(folder / 'up.stderr').read_text()}"
        urls = json.loads(line)
        yield Up(process, folder, urls["api"], urls["ingress"], urls.get("simulator", ""), urls["metrics"])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(END_DEADLINE_S)
        if process.stdout is not None:
            process.stdout.close()


def wait_for(what: str, is_there: Callable[[], bool], deadline_s: float = 30.0) -> None:
    """Return when it is there."""
    deadline = time.monotonic() + deadline_s
    while not is_there():
        assert time.monotonic() < deadline, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(0.1)


def is_ready(server: str) -> bool:
    """Whether a server answers 200 to `/ready`."""
    try:
        return httpx.get(f"{server}/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
