"""The commands that repair, by name and option: replay, rebuild, dead letters. What they do is imported when called."""

# ruff: noqa: PLC0415 - each command imports what it does

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

PANEL = "Repair"
Json = Annotated[bool, typer.Option("--json", help="The answer as JSON on stdout")]
Campaign = Annotated[UUID | None, typer.Option("--campaign", help="Of this campaign only")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would do")]
AllowRetries = Annotated[bool, typer.Option("--allow-retries", help="Also where people would be sent to again")]


def register(app: typer.Typer) -> None:
    """Add these commands to `campaigns`."""
    for command in (replay, rebuild):
        app.command(rich_help_panel=PANEL)(command)


def replay(
    topic: Annotated[str, typer.Option("--from-topic", help="webhooks.raw or recipient.events")],
    first: Annotated[
        str | None, typer.Option("--from", help="A time (2026-03-01T12:00Z), an offset, or 0:1500,3:90 by partition")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="As --from, not included; else what is there now")] = None,
    campaign: Campaign = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="At most so many records a second")] = None,
    dry_run: DryRun = False,
    allow_retries: AllowRetries = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that did not end")] = False,
    json: Json = False,
) -> None:
    """Merge a range of a topic into the rows again: harmless, bounded, resumable; live traffic goes on."""
    from cli.replay import Wish, run_replay

    raise typer.Exit(run_replay(Wish(topic, first, end, campaign, rate, dry_run, allow_retries, resume, json)))


def rebuild(
    campaign: Annotated[UUID, typer.Option("--campaign", help="This campaign; paused, completed or cancelled")],
    apply: Annotated[bool, typer.Option("--apply", help="Put the rows right; else only show what differs")] = False,
    allow_retries: AllowRetries = False,
    json: Json = False,
) -> None:
    """Put the rows of a campaign back to what the kept events say, after a bad release wrote wrong facts."""
    from cli.rebuild import Wish, run_rebuild

    raise typer.Exit(run_rebuild(Wish(campaign, apply, allow_retries, json)))
