"""Every command follows the conventions: examples that parse, -h, and --yes with --dry-run where data changes."""

from __future__ import annotations

import shlex
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli.examples import EXAMPLES, commands_of
from cli.main import app
from tests.support.paths import ROOT

READS = {
    "check", "export", "list", "show", "stats", "explain", "plan", "cost",
    "watch", "status", "numbers", "lag", "config", "trace", "verify",
    "unknown list",
    "parked list", "dead-letters list", "dead-letters show", "breakers list", "failed list", "topics reassignment",
    "frequency-cap show", "subscriptions list", "subscriptions export",
    "templates list", "templates show", "templates preview", "templates check",
}  # fmt: skip
"""Commands that change no data."""
REPAIRS_ON_REQUEST = {"verify", "sink"}
"""Commands with one option that changes data."""
RUNS = {"demo", "up", "ingress", "api", "scheduler", "sender", "reconciler", "sink", "stats-publisher"}
"""Processes that run until a signal."""
PASSES_THROUGH = {"psql", "simulator"}
"""Commands whose options belong to another program."""
NAMES = [name for name, _ in commands_of(app)]
SHELL = {"<", ">", "|"}


COMMAND = get_command(app)


def command_of(name: str) -> Any:
    found: Any = COMMAND
    for word in name.split():
        assert isinstance(found, TyperGroup)
        found = found.commands[word]
    return found


def options_of(name: str) -> set[str]:
    return {option for parameter in command_of(name).params for option in parameter.opts}


def test_a_command_that_changes_data_has_yes_and_dry_run() -> None:
    changing = set(NAMES) - (READS - REPAIRS_ON_REQUEST) - (RUNS - REPAIRS_ON_REQUEST) - PASSES_THROUGH
    assert {"resume", "db migrate", "dead-letters drop", "pause", "sink", "add"} <= changing
    assert {name for name in changing if not {"--yes", "--dry-run"} <= options_of(name)} == set()


@pytest.mark.parametrize("name", NAMES)
def test_each_example_is_a_command_line_that_parses(name: str) -> None:
    assert name in EXAMPLES, "add its examples to cli/examples.py"
    for line in EXAMPLES[name]:
        words = shlex.split(line)
        end = next((place for place, word in enumerate(words) if word in SHELL), len(words))
        assert words[: 1 + len(name.split())] == ["campaigns", *name.split()]
        arguments = words[1 + len(name.split()) : end]
        if name not in PASSES_THROUGH:
            command_of(name).make_context(name, arguments, parent=typer.Context(COMMAND))


def test_no_example_is_of_a_command_that_does_not_exist() -> None:
    assert set(EXAMPLES) - set(NAMES) == set()


@pytest.mark.parametrize("arguments", [("add", "-h"), ("dead-letters", "-h"), ("unknown", "retry", "-h")])
def test_the_short_help_option_works_everywhere(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert "Usage: campaigns" in done.stdout
    if arguments[-2] in {"add", "retry"}:
        assert "Examples:" in done.stdout


def test_the_version_is_printed() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.startswith("campaigns ")) == (0, True)


def test_the_shell_can_complete_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={
            "PYTHONPATH": str(ROOT), "_CAMPAIGNS_COMPLETE": "complete_bash", "COMP_WORDS": "campaigns dead",
            "COMP_CWORD": "1",
        },
    )  # fmt: skip
    assert "dead-letters" in done.stdout


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_every_group_is_known() -> None:
    assert {group.name for group in app.registered_groups} >= {"db", "topics", "unknown", "dead-letters"}
    assert isinstance(app, typer.Typer)
