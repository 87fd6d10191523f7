"""A refused value is explained in plain words, for every type and limit of an option."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from cli.main import app


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("up --api-port 99999", "must be at most 65535"),
        ("up --api-port -1", "must be at least 0"),
        ("up --api-port http", "expects a whole number"),
        ("watch x --every soon", "expects a number"),
        ("watch x --every nan", "must be at most 3600"),
        ("list --limit 0", "must be at least 1"),
        ("unknown retry nobody", "expects an id"),
    ],
)
def test_a_refused_value_is_explained_in_plain_words(arguments: str, words: str) -> None:
    done = CliRunner().invoke(app, arguments.split(), env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert words in " ".join(done.stderr.split())
    assert "Input should" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("stat", "'stats'"),
        ("verfy", "'verify'"),
        ("dead-letters lst", "'list'"),
        ("create x --templte y", "--template"),
    ],
)
def test_a_misspelled_command_or_option_names_the_one_that_was_meant(arguments: str, meant: str) -> None:
    done = CliRunner().invoke(app, arguments.split(), env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert meant in done.stderr
