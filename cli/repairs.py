"""The commands that repair, by name and option: replay, rebuild, dead letters. What they do is imported when called."""

# ruff: noqa: PLC0415 - each command imports what it does

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer

from cli.options import REPAIR_PANEL, AllowRetries, Campaign, DryRun, Json, Limit


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-03-01T12:00Z") from None


dead_letters = typer.Typer(help="What the stages have set aside.", no_args_is_help=True)

OfTopic = Annotated[str | None, typer.Option("--topic", help="Of this topic, with or without .dead")]
OfStage = Annotated[str | None, typer.Option("--stage", help="Set aside by this stage")]
OfReason = Annotated[str | None, typer.Option("--reason", help="With this reason code")]
Since = Annotated[
    datetime | None,
    typer.Option("--since", parser=_moment, metavar="TIME", help="At or after this time (UTC): 2026-03-01T12:00Z"),
]
At = Annotated[str | None, typer.Argument(help="One of them, such as webhooks.raw.dead/0@17")]


def register(app: typer.Typer) -> None:
    """Add these commands to `campaigns`."""
    app.add_typer(dead_letters, name="dead-letters", rich_help_panel=REPAIR_PANEL)
    for command in (replay, rebuild):
        app.command(rich_help_panel=REPAIR_PANEL)(command)


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
    from cli.replay import run_replay
    from operations.replay import ReplayOptions

    options = ReplayOptions(topic, first, end, campaign, rate, dry_run, allow_retries, resume)
    raise typer.Exit(run_replay(options, as_json=json))


def rebuild(
    campaign: Annotated[UUID, typer.Option("--campaign", help="This campaign; paused, completed or cancelled")],
    apply: Annotated[bool, typer.Option("--apply", help="Put the rows right; else only show what differs")] = False,
    allow_retries: AllowRetries = False,
    json: Json = False,
) -> None:
    """Put the rows of a campaign back to what the kept events say, after a bad release wrote wrong facts."""
    from cli.rebuild import RebuildOptions, run_rebuild

    raise typer.Exit(run_rebuild(RebuildOptions(campaign, apply, allow_retries, json)))


@dead_letters.command("list")
def dead_letters_list(
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    since: Since = None,
    limit: Limit = 100,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are dealt with")] = False,
    json: Json = False,
) -> None:
    """Say what waits in the dead-letter topics: stage, reason, error, where it came from, when."""
    from cli.dead_letters import DeadLetterOptions, run_list

    raise typer.Exit(run_list(DeadLetterOptions(topic, stage, reason, since, None, limit, everything, as_json=json)))


@dead_letters.command("show")
def dead_letters_show(
    place: Annotated[str, typer.Argument(help="Such as webhooks.raw.dead/0@17")],
    raw: Annotated[bool, typer.Option("--raw", help="The bytes as they are, unmasked")] = False,
    json: Json = False,
) -> None:
    """Show one dead letter, numbers and message ids masked."""
    from cli.dead_letters import DeadLetterOptions, run_show

    raise typer.Exit(run_show(DeadLetterOptions(place=place, is_all=True, as_json=json), is_raw=raw))


@dead_letters.command("redrive")
def dead_letters_redrive(
    place: At = None,
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    since: Since = None,
    limit: Limit = 1_000_000,
    everything: Annotated[bool, typer.Option("--all", help="Every one that waits")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Send dead letters back to the stage that refused them, once each."""
    from cli.dead_letters import DeadLetterOptions, run_redrive

    raise typer.Exit(
        run_redrive(DeadLetterOptions(topic, stage, reason, since, place, limit, everything, dry_run, json))
    )


@dead_letters.command("drop")
def dead_letters_drop(
    place: At = None,
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    since: Since = None,
    limit: Limit = 1_000_000,
    everything: Annotated[bool, typer.Option("--all", help="Every one that waits")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Mark dead letters as dealt with; their bytes stay in the topic until it forgets them."""
    from cli.dead_letters import DeadLetterOptions, run_drop

    raise typer.Exit(run_drop(DeadLetterOptions(topic, stage, reason, since, place, limit, everything, dry_run, json)))
