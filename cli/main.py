"""`campaigns`: one entry point. Commands are named here, and what they do is imported when they are called.

Progress and logs go to stderr, results and `--json` to stdout. Nothing heavy may be imported at the top: a supervisor
starts a dozen of these at once.
"""

# ruff: noqa: PLC0415 - each command imports what it does

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli import operations, repairs
from cli.options import PROCESS_PANEL, QUERY_PANEL, START_PANEL

TYPER_USAGE = 2
"""The exit code of Typer for a command line that it does not accept."""

app = typer.Typer(
    help="WhatsApp marketing campaigns as Kafka streams. `campaigns demo` shows all of it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
topics = typer.Typer(help="The Kafka topics.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(topics, name="topics")


def main() -> None:
    """Run one command; a wrong command line ends with 64, as wrong settings do."""
    try:
        app(prog_name="campaigns")
    except SystemExit as ending:
        if ending.code == TYPER_USAGE:
            from runtime.process import EXIT_USAGE

            sys.exit(EXIT_USAGE)
        raise


@app.command(rich_help_panel=START_PANEL)
def demo(
    recipients: Annotated[int, typer.Option(min=20, max=1_000_000, help="How many get the campaign")] = 5000,
    mps: Annotated[int, typer.Option(min=1, max=5000, help="Messages a second")] = 500,
    seed: Annotated[int, typer.Option(help="Same seed, same numbers and the same fate of each message")] = 1,
    time_scale: Annotated[
        float, typer.Option(min=1, max=10_000, help="Backoffs of hours are divided by it", show_default=True)
    ] = 100.0,
    json: Annotated[bool, typer.Option("--json", help="End with the verdict as one line of JSON on stdout")] = False,
) -> None:
    """Run a whole campaign against a simulated WhatsApp, kill a sender in the middle, and prove the result."""
    from cli.demo.command import DemoOptions, run_demo

    raise typer.Exit(run_demo(DemoOptions(recipients, mps, seed, time_scale), as_json=json))


@app.command(rich_help_panel=START_PANEL)
def up(
    api_port: Annotated[int, typer.Option(min=0, max=65535, help="API and page; 0 = a free one")] = 8000,
    ingress_port: Annotated[int, typer.Option(min=0, max=65535, help="Webhooks; 0 = a free one")] = 8001,
    simulator_port: Annotated[int, typer.Option(min=0, max=65535, help="Without an access token")] = 8002,
    json: Annotated[bool, typer.Option("--json", help="Say the addresses as a line of JSON on stdout")] = False,
) -> None:
    """Run every process here until Ctrl-C; the data stays in .campaigns/."""
    from cli.up import Ports, run_up

    raise typer.Exit(run_up(Ports(api_port, ingress_port, simulator_port), as_json=json))


@app.command(rich_help_panel=QUERY_PANEL)
def check(
    json: Annotated[bool, typer.Option("--json", help="The findings as JSON on stdout")] = False,
) -> None:
    """Look at settings, Kafka, topics and Postgres; say the next step for what is not right."""
    from cli.check import run_check

    raise typer.Exit(run_check(as_json=json))


@app.command(
    rich_help_panel=QUERY_PANEL,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def psql(context: typer.Context) -> None:
    """Open psql on the database, or run `-c SQL` (also where psql is not installed)."""
    from cli.psql import run_psql

    raise typer.Exit(run_psql(context.args))


@db.command("migrate")
def db_migrate() -> None:
    """Bring the database to the schema of this version; safe when two do it at once."""
    from cli.preparations import run_migrate

    raise typer.Exit(run_migrate())


@topics.command("apply")
def topics_apply() -> None:
    """Create the topics, or alter them to what this version expects."""
    from cli.preparations import run_topics_apply

    raise typer.Exit(run_topics_apply())


@app.command(
    rich_help_panel=QUERY_PANEL,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def simulator(context: typer.Context) -> None:
    """Run a WhatsApp Cloud API for tests (`campaigns simulator --help`)."""
    from simulator.command import app as simulate

    simulate(context.args, prog_name="campaigns simulator")


def _process(name: str) -> None:
    from cli.processes import run_named

    raise typer.Exit(run_named(name))


@app.command(rich_help_panel=PROCESS_PANEL)
def ingress() -> None:
    """Take webhooks over HTTP into Kafka."""
    _process("ingress")


@app.command(rich_help_panel=PROCESS_PANEL)
def api() -> None:
    """Serve the REST API and the page."""
    _process("api")


@app.command(rich_help_panel=PROCESS_PANEL)
def scheduler() -> None:
    """Release due recipients as send jobs."""
    _process("scheduler")


@app.command(rich_help_panel=PROCESS_PANEL)
def sender() -> None:
    """Claim send jobs and post them to the Cloud API."""
    _process("sender")


@app.command(rich_help_panel=PROCESS_PANEL)
def reconciler() -> None:
    """Turn webhooks into events."""
    _process("reconciler")


@app.command(rich_help_panel=PROCESS_PANEL)
def sink(
    accept_topic: Annotated[
        bool, typer.Option(help="Do not run: take the topic as it is now, from its beginning (it was made anew).")
    ] = False,
) -> None:
    """Merge events into Postgres."""
    if accept_topic:
        from cli.preparations import run_accept_topic

        raise typer.Exit(run_accept_topic())
    _process("sink")


@app.command(rich_help_panel=PROCESS_PANEL)
def stats() -> None:
    """Publish each campaign's counters."""
    _process("stats")


operations.register(app)
repairs.register(app)
