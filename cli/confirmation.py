"""Asks before a command changes data: on a terminal, or by the option `--yes`."""

from __future__ import annotations

import sys

import typer

from cli.console import note


def confirmed(question: str, *, is_sure: bool) -> bool | None:
    """Whether the operator confirms. None: there is no terminal to ask on, and `--yes` is missing."""
    if is_sure:
        return True
    if not sys.stdin.isatty():
        note(f"{question} Nothing was changed: there is no terminal to ask on. Repeat the command with --yes.")
        return None
    return typer.confirm(question, err=True)
