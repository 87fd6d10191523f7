"""`campaigns verify`: checks that counters, rows and ledger agree, reports differences, repairs counters on request."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignOption, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.verify import VerifyOptions, VerifyReport
    from runtime.settings import Settings


def verify(
    campaign: CampaignOption = None,
    repair_counters: Annotated[bool, typer.Option("--repair-counters", help="Correct counters that differ")] = False,
    from_topic: Annotated[bool, typer.Option("--from-topic", help="Recompute the rows from the kept events")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Check that counters, rows and ledger agree, while everything runs. Report what differs."""
    from cli.confirmation import Consent
    from cli.console import run_command
    from operations.campaign_names import campaign_id_of
    from operations.verify import VerifyOptions

    async def work(settings: Settings) -> int:
        only = await campaign_id_of(settings, campaign)
        options = VerifyOptions(only, repair_counters, from_topic)
        return await run_verify(settings, options, Consent(yes, dry_run), as_json=json)

    raise typer.Exit(run_command(lambda settings: asyncio.run(work(settings))))


async def run_verify(settings: Settings, options: VerifyOptions, consent: Consent, *, as_json: bool) -> int:
    """Run the checks, correct counters if that is requested and the operator consents, and print the report."""
    from dataclasses import replace

    from cli.confirmation import decline
    from cli.verify_report import exit_code

    if not options.repair_counters or consent.may_act_at_once:
        return _print(await _verify(settings, options), as_json=as_json)
    report = await _verify(settings, replace(options, repair_counters=False))
    if not report.found.counters:
        return _print(report, as_json=as_json)
    if consent.is_dry or not as_json:
        _print(report, as_json=as_json)
    if (ending := decline(consent, f"correct {len(report.found.counters)} counter(s)")) is not None:
        return ending or exit_code(report)
    return _print(await _verify(settings, options), as_json=as_json)


async def _verify(settings: Settings, options: VerifyOptions) -> VerifyReport:
    from cli.console import note
    from cli.progress import ProgressLine
    from operations.verify import verify

    progress = ProgressLine(sys.stderr)
    try:
        return await verify(settings, options, note, progress.show)
    finally:
        progress.end()


def _print(report: VerifyReport, *, as_json: bool) -> int:
    import orjson

    from cli.verify_report import document_of, exit_code, lines_of

    print(orjson.dumps(document_of(report)).decode() if as_json else "\n".join(lines_of(report)))
    return exit_code(report)
