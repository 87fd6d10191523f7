"""The imports of the bulk benchmark: by the command, the same file once more, and over HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from uuid import UUID

import orjson

from bench.children import ROOT
from bench.contest import Arena
from bench.served import served_api
from bench.usage import Usage, measured
from bench.worlds import environment_of
from runtime.settings import Settings

HTTP_TIMEOUT_S = 600.0
SENT_TOGETHER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Imported:
    """One import: how long it took, with its start, and what it used."""

    lines: int
    added: int
    seconds: float
    client: Usage
    """The process that reads the file and judges it."""
    server: Usage

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / self.seconds


def write_list(file: Path, first: int, count: int) -> None:
    """Write a CSV file with so many phone numbers."""
    with file.open("w") as lines:
        lines.write("phone_number,first_name\n")
        lines.writelines(f"+{first + n},Ada\n" for n in range(count))


def import_by_command(arena: Arena, settings: Settings, campaign: UUID, file: Path) -> Imported:
    """Run `campaigns import`. Its time includes its start."""
    argv = [sys.executable, "-m", "cli", "import", str(campaign), str(file), "--yes", "--json"]
    environment = {**environment_of(settings), "PYTHONPATH": str(ROOT)}
    with measured(arena.postgres_pid) as server:
        started = time.monotonic()
        with subprocess.Popen(
            argv, env=environment, cwd=arena.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as running:
            with measured(running.pid) as client:
                printed, errors = running.communicate()
            seconds = time.monotonic() - started
    if running.returncode:
        raise RuntimeError(errors.decode())
    done = orjson.loads(printed)
    return Imported(done["lines"], done["added"], seconds, client, server)


def import_over_http(arena: Arena, settings: Settings, campaign: UUID, file: Path) -> Imported:
    """Post the file to an API that runs already, and wait for its answer."""
    with served_api(settings, arena.folder / "api.log") as api:
        connection = HTTPConnection("127.0.0.1", api.port, HTTP_TIMEOUT_S, blocksize=SENT_TOGETHER)
        headers = {"Content-Type": "text/csv", "Content-Length": str(file.stat().st_size)}
        with measured(api.process.pid) as client, measured(arena.postgres_pid) as server, file.open("rb") as content:
            started = time.monotonic()
            connection.request("POST", f"/api/marketing/campaigns/{campaign}/recipients/import", content, headers)
            answer = connection.getresponse()
            body = answer.read()
            seconds = time.monotonic() - started
        connection.close()
    if answer.status != 200:
        raise RuntimeError(body.decode())
    done = orjson.loads(body)
    return Imported(done["lines"], done["added"], seconds, client, server)
