"""`campaigns replay`: merges a range of a topic into the rows once more, and prints the report."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AllowRetries, CampaignOption, DryRun, Json

if TYPE_CHECKING:
    from operations.replay import ReplayOptions
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
    dry_run: DryRun = False,
    allow_retries: AllowRetries = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the replay that did not finish")] = False,
    json: Json = False,
) -> None:
    """Merge a range of a topic into the rows again, while everything runs. Known events change nothing."""
    from cli.console import run_command
    from operations.replay import ReplayOptions

    options = ReplayOptions(topic, first, end, campaign, rate, dry_run, allow_retries, resume)
    raise typer.Exit(run_command(lambda settings: asyncio.run(run_replay(settings, options, as_json=json))))


async def run_replay(settings: Settings, options: ReplayOptions, *, as_json: bool) -> int:
    """Replay until the end or until a signal, and print the report."""
    import orjson

    from cli.console import note, note_details
    from cli.progress import ProgressLine
    from cli.replay_report import document_of, exit_code, lines_of
    from operations.options import InvalidOptions
    from operations.replay import run
    from runtime.process import EXIT_USAGE
    from topics.scan import InvalidBound

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    progress = ProgressLine(sys.stderr)
    try:
        report = await run(settings, options, stop, progress.show)
    except (InvalidOptions, InvalidBound) as invalid:
        progress.end()
        note(str(invalid))
        return EXIT_USAGE
    except Exception as error:
        progress.end()
        note_details(error)
        raise
    progress.end()
    print(orjson.dumps(document_of(report)).decode() if as_json else "\n".join(lines_of(report)))
    return exit_code(report)
