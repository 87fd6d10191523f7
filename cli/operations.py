"""The commands of an operator, by name and option: look, prove, repeat, stop. What they do is imported when called."""

# ruff: noqa: PLC0415 - each command imports what it does

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import QUERY_PANEL, Campaign, Json, LineLimit, RecipientIds, Yes

unknown = typer.Typer(help="Sends whose outcome is not known.", no_args_is_help=True)
parked = typer.Typer(help="Statuses that wait for their recipient.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add these commands to `campaigns`."""
    app.add_typer(unknown, name="unknown", rich_help_panel=QUERY_PANEL)
    app.add_typer(parked, name="parked", rich_help_panel=QUERY_PANEL)
    for command in (verify, recover):
        app.command(rich_help_panel=QUERY_PANEL)(command)


def verify(
    campaign: Campaign = None,
    repair_counters: Annotated[bool, typer.Option("--repair-counters", help="Correct counters that differ")] = False,
    from_topic: Annotated[bool, typer.Option("--from-topic", help="Recompute the rows from the kept events")] = False,
    json: Json = False,
) -> None:
    """Prove that counters, rows and ledger say the same, while everything runs; name what differs."""
    from cli.verify import run_verify

    raise typer.Exit(run_verify(campaign, as_json=json, repair_counters=repair_counters, is_from_topic=from_topic))


def recover(
    force: Annotated[
        bool, typer.Option("--force", help="Also where server and timeline are as before (a restored snapshot)")
    ] = False,
    json: Json = False,
) -> None:
    """After a restored database or a failover: read the topics again, then let sending go on."""
    from cli.recover import run_recover

    raise typer.Exit(run_recover(is_forced=force, as_json=json))


@unknown.command("list")
def unknown_list(campaign: Campaign = None, limit: LineLimit = 100, json: Json = False) -> None:
    """Say whose send has an unknown outcome, and for how long."""
    from cli.unknown import run_list

    raise typer.Exit(run_list(campaign, limit, as_json=json))


@unknown.command("retry")
def unknown_retry(
    ids: RecipientIds = None,
    campaign: Campaign = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Without waiting for what may still answer")] = False,
    json: Json = False,
) -> None:
    """Send again to them: they MAY get the message twice."""
    from cli.unknown import UnknownOptions, run_retry

    raise typer.Exit(run_retry(UnknownOptions(tuple(ids or ()), campaign, yes, force, json)))


@unknown.command("assume-sent")
def unknown_assume_sent(
    ids: RecipientIds = None, campaign: Campaign = None, yes: Yes = False, json: Json = False
) -> None:
    """Declare them sent: they are never sent to again by this campaign."""
    from cli.unknown import UnknownOptions, run_assume_sent

    raise typer.Exit(run_assume_sent(UnknownOptions(tuple(ids or ()), campaign, yes, as_json=json)))


@parked.command("list")
def parked_list(limit: LineLimit = 100, json: Json = False) -> None:
    """List statuses whose message id nobody has claimed yet, and count those of other systems."""
    from cli.parked import run_parked

    raise typer.Exit(run_parked(limit, as_json=json))
