"""`campaigns status`: prints a line for each process, queue and campaign to stdout; the summary goes to stderr."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from cli.options import Json

if TYPE_CHECKING:
    from runtime.settings import Settings

EXIT_PROBLEM = 1
JSON_VERSION = 1
"""Of the document that `--json` prints. It rises if a field changes its meaning or goes."""
MARKS = {"ok": "ok   ", "look": "look ", "wrong": "WRONG"}


def status(json: Json = False) -> None:
    """Show processes, backlogs and campaigns, with the next step for each problem."""
    from cli.console import run_command

    raise typer.Exit(run_command(lambda settings: asyncio.run(_status(settings, as_json=json))))


async def _status(settings: Settings, *, as_json: bool) -> int:
    from dataclasses import asdict

    import orjson

    from cli.console import note, printable, reason_of
    from operations.status_report import collect
    from runtime.process import EXIT_OK

    found = await collect(settings, reason_of)
    problems, warnings = (sum(line.state == state for line in found) for state in ("wrong", "look"))
    if as_json:
        print(orjson.dumps({
            "version": JSON_VERSION, "verdict": "wrong" if problems else "look" if warnings else "ok",
            "problems": problems, "warnings": warnings, "lines": [asdict(line) for line in found],
        }).decode())  # fmt: skip
    else:
        for line in found:
            step = f"  → {line.next_step}" if line.next_step else ""
            print(printable(f"{MARKS[line.state]}  {line.about}: {line.found}{step}"))
    note(_summary(problems, warnings))
    return EXIT_PROBLEM if problems else EXIT_OK


def _summary(problems: int, warnings: int) -> str:
    if not problems and not warnings:
        return "no problems"
    plural = "" if warnings == 1 else "s"
    if not problems:
        return f"{warnings} warning{plural}, nothing urgent"
    return f"{problems} problem{'' if problems == 1 else 's'}" + (f", {warnings} warning{plural}" if warnings else "")
