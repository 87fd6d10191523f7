"""`campaigns`: the one entry point. It registers the commands; each imports what it needs when it is called.

Logs and messages go to stderr, results and `--json` to stdout. Nothing heavy may be imported at the top, because a
supervisor starts a dozen of these at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from cli.activate import activate
from cli.add import add
from cli.adopt import adopt
from cli.breakers import breakers
from cli.cancel import cancel
from cli.check import check
from cli.clone import clone
from cli.config import config
from cli.cost import cost
from cli.create import create
from cli.db import db
from cli.dead_letters import dead_letters
from cli.delete import delete
from cli.demo.command import demo
from cli.edit import edit
from cli.examples import add_examples
from cli.explain import explain
from cli.export import export
from cli.failed import failed
from cli.frequency_cap import frequency_cap
from cli.import_recipients import import_recipients
from cli.lag import lag
from cli.list_campaigns import list_campaigns
from cli.numbers import numbers
from cli.options import CAMPAIGN_PANEL, PROCESS_PANEL, QUERY_PANEL, REPAIR_PANEL, START_PANEL
from cli.parked import parked
from cli.pause import pause
from cli.plan import plan
from cli.processes import api, ingress, reconciler, scheduler, sender, simulator, sink, stats_publisher
from cli.psql import psql
from cli.rebuild import rebuild
from cli.recover import recover
from cli.remove import remove
from cli.replay import replay
from cli.resume import resume
from cli.schemas import schemas
from cli.secrets import secrets
from cli.show import show
from cli.stats import stats
from cli.status import status
from cli.subscriptions import subscriptions
from cli.templates import templates
from cli.test_send import send_test
from cli.topics import topics
from cli.trace import trace
from cli.unknown import unknown
from cli.up import up
from cli.usage_errors import PlainGroup
from cli.verify import verify
from cli.watch import watch

TYPER_USAGE = 2
"""The exit code of Typer for an invalid command line."""
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""For commands whose options belong to another program."""

app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[tuple[str, tuple[Callable[..., None], ...]], ...] = (
    (START_PANEL, (demo, up, check, secrets)),
    (
        CAMPAIGN_PANEL,
        (
            list_campaigns,
            show,
            create,
            edit,
            clone,
            delete,
            add,
            import_recipients,
            adopt,
            remove,
            send_test,
            plan,
            activate,
            pause,
            resume,
            cancel,
            stats,
            cost,
            explain,
            watch,
            export,
        ),
    ),
    (QUERY_PANEL, (status, numbers, lag, config, trace, verify)),
    (REPAIR_PANEL, (replay, rebuild, recover)),
    (PROCESS_PANEL, (ingress, api, scheduler, sender, reconciler, sink, stats_publisher)),
)
_NAMES: dict[Callable[..., None], str] = {list_campaigns: "list", import_recipients: "import", send_test: "test-send"}
"""Names that are not those of the functions."""
_PASSING_THROUGH: tuple[Callable[..., None], ...] = (psql, simulator)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version  # noqa: PLC0415 - too slow for every command line

        print(f"campaigns {version('campaign-streams')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and exit")
    ] = False,
) -> None:
    """Send WhatsApp marketing campaigns through Kafka streams. To see it work, run `campaigns demo`."""


for panel, commands in _COMMANDS:
    for command in commands:
        app.command(_NAMES.get(command), rich_help_panel=panel)(command)
for command in _PASSING_THROUGH:
    app.command(rich_help_panel=QUERY_PANEL, context_settings=PASS_THROUGH)(command)
app.add_typer(db, name="db", rich_help_panel=START_PANEL)
app.add_typer(topics, name="topics", rich_help_panel=START_PANEL)
app.add_typer(schemas, name="schemas", rich_help_panel=START_PANEL)
app.add_typer(unknown, name="unknown", rich_help_panel=QUERY_PANEL)
app.add_typer(subscriptions, name="subscriptions", rich_help_panel=CAMPAIGN_PANEL)
app.add_typer(frequency_cap, name="frequency-cap", rich_help_panel=CAMPAIGN_PANEL)
app.add_typer(templates, name="templates", rich_help_panel=CAMPAIGN_PANEL)
app.add_typer(breakers, name="breakers", rich_help_panel=QUERY_PANEL)
app.add_typer(failed, name="failed", rich_help_panel=REPAIR_PANEL)
app.add_typer(parked, name="parked", rich_help_panel=QUERY_PANEL)
app.add_typer(dead_letters, name="dead-letters", rich_help_panel=REPAIR_PANEL)
add_examples(app)


def main() -> None:
    """Run one command; an invalid command line exits with 64, as invalid settings do."""
    try:
        app(prog_name="campaigns")
    except SystemExit as ending:
        if ending.code == TYPER_USAGE:
            from runtime.process import EXIT_USAGE  # noqa: PLC0415 - too slow for every command line

            sys.exit(EXIT_USAGE)
        raise
