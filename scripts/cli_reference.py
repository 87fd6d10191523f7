"""The reference page of the command line, written from its parser: commands, arguments, options and examples."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import typer
from typer.main import get_command

from cli.examples import EXAMPLES
from cli.main import app
from simulator.command import app as simulator

_LIMITS, _RANGE = re.compile(r"([^\s\[]+)<=x<=([^\s;\]]+)"), r"from \1 to \2"
WIDTH = 120
"""Columns of a line in every page of the documentation."""


def commands() -> dict[str, Any]:
    """Every command of the parser by its name, with its group. The options of the simulator are its own program's."""
    found = dict(_leaves(get_command(app), ""))
    found["simulator"] = get_command(simulator)
    return found


def lines() -> Iterator[str]:
    """The page without its title."""
    yield from _paragraph(
        "Every command has `-h`. Results and `--json` go to stdout, messages and logs to stderr. The [exit "
        "codes](../operations/run.md#exit-codes) are the same for all. `campaigns --version` prints the version, and "
        "`campaigns --install-completion` lets your shell complete commands and options. A command or option that does "
        "not exist exits with 64 and names the one that was probably meant."
    )
    for name, command in commands().items():
        yield from (f"## `campaigns {name}`", "")
        yield from _paragraph(" ".join(cleandoc(command.help or "").split()))
        entries = _entries(name, command)
        for entry in entries:
            yield from textwrap.wrap(
                entry, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
            )
        if entries:
            yield ""
        yield from ("```sh", *EXAMPLES[name], "```", "")


def _leaves(command: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    children: dict[str, Any] = getattr(command, "commands", {})
    for name, child in children.items():
        if getattr(child, "commands", None):
            yield from _leaves(child, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", child


def _entries(name: str, command: Any) -> list[str]:
    """Each argument and option as the help shows it: how it is written, what it means, its default and its limits."""
    context = typer.Context(command, info_name=f"campaigns {name}")
    records = [parameter.get_help_record(context) for parameter in command.params if "--help" not in parameter.opts]
    shown = [record for record in records if record is not None and "-completion" not in record[0]]
    return [f"- `{written}`: {_LIMITS.sub(_RANGE, ' '.join(meaning.split()))}" for written, meaning in shown]


def _paragraph(text: str) -> list[str]:
    return [*textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False), ""]
