"""`campaigns check`: prints a line for each checked part to stderr; `--json` adds the findings on stdout."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import Json

if TYPE_CHECKING:
    from runtime.settings import Settings

MARKS = {"ok": "ok     ", "warning": "warning", "wrong": "WRONG  "}


def check(json: Json = False) -> None:
    """Check settings, Kafka, topics and PostgreSQL, with the next step for each problem."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: run_check(settings, as_json=json)))


def run_check(settings: Settings, *, as_json: bool) -> int:
    """Print every finding; returns 75 if something does not work, else 0."""
    from dataclasses import asdict

    import orjson

    from cli.console import note
    from operations.check import check as find
    from operations.local_up import find_local_up
    from runtime.process import EXIT_OK, EXIT_TRANSIENT

    findings = list(find(settings, find_local_up()))
    if as_json:
        print(orjson.dumps([asdict(finding) for finding in findings]).decode())
    for finding in findings:
        step = f"  → {finding.next_step}" if finding.next_step else ""
        note(f"{MARKS[finding.state]}  {finding.about}: {finding.found}{step}")
    return EXIT_TRANSIENT if any(finding.state == "wrong" for finding in findings) else EXIT_OK
