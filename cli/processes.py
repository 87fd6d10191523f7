"""The commands of our own processes, and the module that runs each."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import DryRun, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent

MODULES = {
    "ingress": "producers.ingress.process",
    "api": "api.server",
    "scheduler": "producers.scheduler.process",
    "sender": "streams.sender.process",
    "reconciler": "streams.reconciler.process",
    "sink": "sinks.sink",
    "stats-publisher": "sinks.stats_publisher",
}
"""Process to module; each has `async def run(settings, stop)`."""


def ingress() -> None:
    """Receive webhooks over HTTP and write them to Kafka."""
    raise typer.Exit(run_named("ingress"))


def api() -> None:
    """Serve the REST API and the web page."""
    raise typer.Exit(run_named("api"))


def scheduler() -> None:
    """Release due recipients as send jobs."""
    raise typer.Exit(run_named("scheduler"))


def sender() -> None:
    """Claim send jobs and post them to the Cloud API."""
    raise typer.Exit(run_named("sender"))


def reconciler() -> None:
    """Turn webhooks into events."""
    raise typer.Exit(run_named("reconciler"))


def stats_publisher() -> None:
    """Publish the counters of each campaign to Kafka."""
    raise typer.Exit(run_named("stats-publisher"))


def sink(
    accept_topic: Annotated[
        bool,
        typer.Option(
            help="Accept a topic that was deleted and recreated: start reading it from its beginning, then exit."
        ),
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Merge events into Postgres. With --accept-topic it asks, changes the stored offsets, and exits."""
    if not accept_topic:
        raise typer.Exit(run_named("sink"))
    from cli.confirmation import Consent

    raise typer.Exit(run_accept_topic(Consent(yes, dry_run)))


def simulator(context: typer.Context) -> None:
    """Run a simulated WhatsApp Cloud API for tests (`campaigns simulator --help`)."""
    from simulator.command import app as simulate

    simulate(context.args, prog_name="campaigns simulator")


def run_named(name: str) -> int:
    """Run one process until a signal and exit with its code; returns only if the settings are invalid."""
    from operations.startup import usable_settings
    from runtime.settings import InvalidSettings

    try:
        settings = usable_settings()
    except InvalidSettings as invalid:
        from cli.console import report_invalid_settings

        return report_invalid_settings(invalid)
    from operations.readiness import depend_on_servers
    from runtime.process import leave, run_process

    depend_on_servers(name, settings)
    return leave(run_process(name, import_module(MODULES[name]).run, settings))


def run_accept_topic(consent: Consent) -> int:
    """`campaigns sink --accept-topic`: the remedy of a sink that found its topic deleted and recreated."""
    import asyncio

    import psycopg

    from cli.confirmation import decline
    from cli.console import note, report_invalid_settings
    from operations.startup import usable_settings
    from runtime.process import EXIT_BUG, EXIT_OK, EXIT_TRANSIENT, Transient
    from runtime.settings import InvalidSettings
    from sinks.sink import accept_topic
    from tables.database import is_transient

    try:
        settings = usable_settings()
        if (ending := decline(consent, "let the sinks read their topic from its beginning")) is not None:
            return ending
        asyncio.run(accept_topic(settings))
    except InvalidSettings as invalid:
        return report_invalid_settings(invalid)
    except Transient as error:
        note(f"not accepted: {error}")
        return EXIT_TRANSIENT
    except psycopg.Error as error:
        note(f"not accepted: {error}")
        return EXIT_TRANSIENT if is_transient(error) else EXIT_BUG
    note("accepted: the sink will read the topic from its beginning. Rows that are correct do not change")
    return EXIT_OK
