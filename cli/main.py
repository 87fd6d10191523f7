"""`campaigns`: the one entry point. It registers the commands; each imports what it needs when it is called.

Logs and messages go to stderr, results and `--json` to stdout. Nothing heavy may be imported at the top, because a
supervisor starts a dozen of these at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from cli.breakers import breakers
from cli.check import check
from cli.db import db
from cli.dead_letters import dead_letters
from cli.demo.command import demo
from cli.failed import failed
from cli.options import PROCESS_PANEL, QUERY_PANEL, REPAIR_PANEL, START_PANEL
from cli.parked import parked
from cli.pause import pause, resume
from cli.processes import api, ingress, reconciler, scheduler, sender, simulator, sink, stats
from cli.psql import psql
from cli.rebuild import rebuild
from cli.recover import recover
from cli.replay import replay
from cli.status import status
from cli.topics import topics
from cli.trace import trace
from cli.unknown import unknown
from cli.up import up
from cli.verify import verify

TYPER_USAGE = 2
"""The exit code of Typer for an invalid command line."""
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For commands whose options belong to another program."""

app = typer.Typer(
    help="Send WhatsApp marketing campaigns through Kafka streams. To see it work, run `campaigns demo`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (START_PANEL, (demo, up)),
    (QUERY_PANEL, (check, status, trace, pause, resume, verify, recover)),
    (REPAIR_PANEL, (replay, rebuild)),
    (PROCESS_PANEL, (ingress, api, scheduler, sender, reconciler, sink, stats)),
)
_PASSING_THROUGH: tuple[Callable[..., None], ...] = (psql, simulator)
for panel, commands in _COMMANDS:
    for command in commands:
        app.command(rich_help_panel=panel)(command)
for command in _PASSING_THROUGH:
    app.command(rich_help_panel=QUERY_PANEL, context_settings=PASS_THROUGH)(command)
app.add_typer(db, name="db")
app.add_typer(topics, name="topics")
app.add_typer(unknown, name="unknown", rich_help_panel=QUERY_PANEL)
app.add_typer(breakers, name="breakers", rich_help_panel=QUERY_PANEL)
app.add_typer(failed, name="failed", rich_help_panel=REPAIR_PANEL)
app.add_typer(parked, name="parked", rich_help_panel=QUERY_PANEL)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=REPAIR_PANEL)


def main() -> None:
    """Run one command; an invalid command line exits with 64, as invalid settings do."""
    try:
        app(prog_name="campaigns")
    except SystemExit as ending:
        if ending.code == TYPER_USAGE:
            from runtime.process import EXIT_USAGE  # noqa: PLC0415 - too slow for every command line

            sys.exit(EXIT_USAGE)
        raise
