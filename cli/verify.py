"""`campaigns verify`: checks that counters, rows and ledger agree, reports differences, repairs counters on request."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignOption, Json

if TYPE_CHECKING:
    from operations.verify import VerifyOptions
    from runtime.settings import Settings


def verify(
    campaign: CampaignOption = None,
    repair_counters: Annotated[bool, typer.Option("--repair-counters", help="Correct counters that differ")] = False,
    from_topic: Annotated[bool, typer.Option("--from-topic", help="Recompute the rows from the kept events")] = False,
    json: Json = False,
) -> None:
    """Check that counters, rows and ledger agree, while everything runs. Report what differs."""
    from cli.console import run_command
    from operations.verify import VerifyOptions

    options = VerifyOptions(campaign, repair_counters, from_topic)
    raise typer.Exit(run_command(lambda settings: asyncio.run(run_verify(settings, options, as_json=json))))


async def run_verify(settings: Settings, options: VerifyOptions, *, as_json: bool) -> int:
    """Run the checks, and print the report."""
    import orjson

    from cli.console import note
    from cli.progress import ProgressLine
    from cli.verify_report import document_of, exit_code, lines_of
    from operations.options import InvalidOptions
    from operations.verify import verify
    from runtime.process import EXIT_USAGE

    progress = ProgressLine(sys.stderr)
    try:
        report = await verify(settings, options, note, progress.show)
    except InvalidOptions as invalid:
        note(str(invalid))
        return EXIT_USAGE
    finally:
        progress.end()
    print(orjson.dumps(document_of(report)).decode() if as_json else "\n".join(lines_of(report)))
    return exit_code(report)
