"""`campaigns psql` uses the options of the address, and ends on a server that has stopped answering."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from cli import psql
from tests.support.processes import environment, run_command
from tests.support.waiting import DEADLINE_S


@pytest.mark.parametrize("installed", [True, False])
def test_the_options_of_the_address_hold(database_url: str, tmp_path: Path, installed: bool) -> None:
    if installed and shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    url = f"{database_url}?options={quote('-c search_path=pg_catalog -c statement_timeout=7s')}"
    variables = environment("127.0.0.1:1", "", CAMPAIGNS_DATABASE_URL=url)
    if not installed:
        variables["PATH"] = str(tmp_path)
    for setting, value in (("search_path", b"pg_catalog"), ("statement_timeout", b"7s"), ("timezone", b"UTC")):
        code, out, error = run_command(variables, tmp_path, "psql", "-c", f"SHOW {setting}")
        assert code == 0, error
        assert value in out


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never answers, as a frozen one does."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"postgresql://x:hunter2@127.0.0.1:{server.getsockname()[1]}/x?connect_timeout=2"


@pytest.mark.parametrize("installed", [True, False])
def test_a_silent_server_ends_the_command(tmp_path: Path, installed: bool) -> None:
    if installed and shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    with silent_server() as url:
        variables = environment("127.0.0.1:1", "", CAMPAIGNS_DATABASE_URL=url)
        if not installed:
            variables["PATH"] = str(tmp_path)
        code, _, error = run_command(variables, tmp_path, "psql", "-c", "SELECT 1")
    assert code == 75
    assert "hunter2" not in error


def test_psql_is_ended_when_the_server_freezes_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """psql has no limit of its own: it waited for ever for a server that was frozen in the middle of a statement."""
    monkeypatch.setattr(psql, "PROBE_EVERY_S", 0.05)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    started = time.monotonic()
    assert psql._wait(sleeper, lambda: False) is None
    assert sleeper.poll() is not None
    assert time.monotonic() - started < DEADLINE_S


def test_psql_goes_on_while_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psql, "PROBE_EVERY_S", 0.01)
    answers = iter([True, False, True, False])
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(3)"], stdin=subprocess.PIPE)

    def is_answering() -> bool:
        answer = next(answers, None)
        if answer is None:
            assert child.stdin is not None
            child.stdin.close()
        return answer is not False

    assert psql._wait(child, is_answering) == 3
