"""The command line: its imports, its exit codes, and its processes."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from inspect import iscoroutinefunction, signature
from pathlib import Path

import pytest

from cli.examples import commands_of
from cli.pipeline import STARTED_IN_ORDER, child_environment, process_child, write_private
from cli.processes import MODULES
from tests.support.paths import ROOT

HEAVY = ("faust", "confluent_kafka", "psycopg", "httpx", "fastapi", "granian", "aiohttp", "pydantic", "simulator")


def campaigns(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_heavy_is_imported_before_a_command_runs() -> None:
    code = f"import sys, cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_each_process_has_its_coroutine_and_its_command(name: str) -> None:
    from cli.main import app  # noqa: PLC0415 - the import is part of what is tested

    run = import_module(MODULES[name]).run
    assert iscoroutinefunction(run)
    assert list(signature(run).parameters)[:2] == ["settings", "stop"]
    assert name in {known for known, _ in commands_of(app)}
    assert name in STARTED_IN_ORDER


def test_invalid_settings_end_with_64_and_name_the_variables(tmp_path: Path) -> None:
    done = campaigns("sink", cwd=tmp_path)
    assert done.returncode == 64
    assert "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS: is not set" in done.stderr
    assert "CAMPAIGNS_DATABASE_URL: is not set" in done.stderr


def test_check_prints_a_line_for_each_part_and_none_of_the_client_library(tmp_path: Path) -> None:
    """Kafka's client wrote a hundred lines about each failed connection before the finding."""
    state = tmp_path / ".campaigns"
    state.mkdir()
    write_private(
        state / "env",
        "CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1\nCAMPAIGNS_DATABASE_URL=postgresql://x:hunter2@127.0.0.1:1/x\n",
    )
    done = campaigns("check", cwd=tmp_path)
    assert done.returncode == 75
    lines = done.stderr.splitlines()
    assert {"Kafka", "PostgreSQL"} <= {line[9:].partition(":")[0] for line in lines}
    assert len(lines) < 12, done.stderr
    assert "FAIL [" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("demo", "--recipients", "many"), ("up", "--nonsense")])
def test_an_invalid_command_line_ends_with_64(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert campaigns(*arguments, cwd=tmp_path).returncode == 64


def test_the_simulator_has_its_own_options(tmp_path: Path) -> None:
    done = campaigns("simulator", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--webhook-url" in done.stdout


def test_children_get_exactly_our_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMPAIGNS_TOPIC_PREFIX", "other.")
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    environment = child_environment({"CAMPAIGNS_DATABASE_URL": "x"})
    assert environment["SOMETHING_ELSE"] == "1"
    assert {name for name in environment if name.startswith("CAMPAIGNS_")} == {"CAMPAIGNS_DATABASE_URL"}


def test_a_second_sender_has_its_own_name(tmp_path: Path) -> None:
    child = process_child("sender-2", {"A": "1"}, tmp_path)
    assert child.argv[-1] == "sender"
    assert child.env == {"A": "1", "CAMPAIGNS_INSTANCE": "sender-2"}


def test_private_files_are_private_and_complete(tmp_path: Path) -> None:
    file = tmp_path / "env"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
