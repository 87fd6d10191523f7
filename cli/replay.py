"""`campaigns replay`: merges a range of a topic into the rows once more, and prints the report."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AllowRetries, CampaignOption, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.replay import ReplayOptions, ReplayReport
    from runtime.settings import Settings


def replay(
    topic: Annotated[str, typer.Option("--from-topic", help="webhooks.raw or recipient.events")],
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="A time (2026-03-01T12:00Z), an offset, or offsets by partition (0:1500,3:90); else the oldest",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="As --from, and not included; else the current end of the topic")
    ] = None,
    campaign: CampaignOption = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Most records per second")] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    allow_retries: AllowRetries = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the replay that did not finish")] = False,
    json: Json = False,
) -> None:
    """Merge a range of a topic into the rows again, while everything runs. Known events change nothing."""
    from cli.confirmation import Consent
    from cli.console import run_command
    from operations.campaign_names import campaign_id_of
    from operations.replay import ReplayOptions

    async def work(settings: Settings) -> int:
        only = await campaign_id_of(settings, campaign)
        options = ReplayOptions(topic, first, end, only, rate, dry_run, allow_retries, resume)
        return await run_replay(settings, options, Consent(yes, dry_run), as_json=json)

    raise typer.Exit(run_command(lambda settings: asyncio.run(work(settings))))


async def run_replay(settings: Settings, options: ReplayOptions, consent: Consent, *, as_json: bool) -> int:
    """Show what the replay would change and ask, unless that is not needed; then replay, and print the report."""
    from dataclasses import replace

    from cli.confirmation import decline
    from cli.console import note
    from cli.replay_report import exit_code

    if not consent.may_act_at_once:
        plan = await _replay(settings, replace(options, is_dry=True))
        if consent.is_dry or plan.plan is None:
            _print(plan, as_json=as_json)
            return exit_code(plan)
        if plan.plan.made_due and not options.allow_retries:
            plan.verdict, plan.made_due = "refused", [each for each in plan.plan.changes if each.makes_due]
        if plan.verdict == "refused" or not plan.plan.changed:
            _print(plan, as_json=as_json)
            if plan.verdict != "refused":
                note("nothing to do: the rows have these events already")
            return exit_code(plan)
        if not as_json:
            _print(plan, as_json=False)
        if (ending := decline(consent, f"change {plan.plan.changed:,} row(s)")) is not None:
            return ending
    report = await _replay(settings, replace(options, is_dry=False))
    _print(report, as_json=as_json)
    return exit_code(report)


async def _replay(settings: Settings, options: ReplayOptions) -> ReplayReport:
    """Replay until the end or until a signal. Raises InvalidOptions."""
    from cli.console import note_details
    from cli.progress import ProgressLine
    from operations.options import InvalidOptions
    from operations.replay import run
    from topics.scan import InvalidBound

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    progress = ProgressLine(sys.stderr)
    try:
        return await run(settings, options, stop, progress.show)
    except InvalidBound as invalid:
        raise InvalidOptions(str(invalid)) from None
    except Exception as error:
        progress.end()
        note_details(error)
        raise
    finally:
        progress.end()
        for number in (signal.SIGINT, signal.SIGTERM):  # a question can be interrupted
            asyncio.get_running_loop().remove_signal_handler(number)


def _print(report: ReplayReport, *, as_json: bool) -> None:
    import orjson

    from cli.replay_report import document_of, lines_of

    print(orjson.dumps(document_of(report)).decode() if as_json else "\n".join(lines_of(report)))
