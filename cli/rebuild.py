"""`campaigns rebuild`: shows how the rows of a campaign differ from its kept events, and restores them on request."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AllowRetries, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.rebuild import RebuildOptions, Rebuilt
    from operations.row_changes import Change
    from runtime.settings import Settings
    from schemas.reasons import RepairRefusal

EXIT_DIFFERENT = 1
EXIT_REFUSED = 1
LINES_MAX = 50


def rebuild(
    campaign: Annotated[
        str,
        typer.Option(
            "--campaign",
            help="Its id, the end of its id, or its name. To restore, it must be paused, completed or cancelled",
        ),
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    allow_retries: AllowRetries = False,
    json: Json = False,
) -> None:
    """Restore the rows of a campaign from the kept events, after a bad release wrote incorrect facts."""
    from cli.confirmation import Consent
    from cli.console import run_command
    from operations.campaign_names import campaign_id_of
    from operations.rebuild import RebuildOptions

    async def work(settings: Settings) -> int:
        only = await campaign_id_of(settings, campaign)
        assert only is not None, "the option is required"
        options = RebuildOptions(only, allow_retries=allow_retries)
        return await run_rebuild(settings, options, Consent(yes, dry_run), as_json=json)

    raise typer.Exit(run_command(lambda settings: asyncio.run(work(settings))))


async def run_rebuild(settings: Settings, options: RebuildOptions, consent: Consent, *, as_json: bool) -> int:
    """Show the rows that differ and ask, unless that is not needed; then restore them. 1: it was refused."""
    from dataclasses import replace

    from cli.confirmation import decline
    from runtime.process import EXIT_OK

    if not consent.may_act_at_once:
        found = await _rebuild(settings, options, as_json=as_json)
        if isinstance(found, int):
            return found
        if consent.is_dry or not found.differs or not as_json:
            _print(options, found, as_json=as_json)
        if consent.is_dry or not found.differs:
            return EXIT_DIFFERENT if found.differs else EXIT_OK
        if (ending := decline(consent, f"restore {found.differs:,} row(s)")) is not None:
            return ending
    options = replace(options, is_applied=True)
    found = await _rebuild(settings, options, as_json=as_json)
    if isinstance(found, int):
        return found
    _print(options, found, as_json=as_json)
    return EXIT_OK if found.differs == found.rows_swapped else EXIT_DIFFERENT


async def _rebuild(settings: Settings, options: RebuildOptions, *, as_json: bool) -> Rebuilt | int:
    """The rows that differ or were restored, or the exit code of a refusal, which is then printed."""
    from cli.progress import ProgressLine
    from operations.rebuild import RebuildRefused, rebuild
    from operations.replay_apply import MakesDue
    from schemas.places import OffsetMismatch
    from schemas.reasons import RepairRefusal

    progress = ProgressLine(sys.stderr)
    try:
        return await rebuild(settings, options, progress.show)
    except RebuildRefused as refused:
        return _refused(refused.reason, str(refused), as_json=as_json)
    except OffsetMismatch as refused:
        return _refused(RepairRefusal.ANOTHER_TOPIC, str(refused), as_json=as_json)
    except MakesDue as refused:
        message = (
            f"{refused}, so their recipients would be messaged again. Earlier rows were restored. "
            "To restore these as well, add --allow-retries"
        )
        return _refused(RepairRefusal.MAKES_DUE, message, refused.changes, as_json=as_json)
    finally:
        progress.end()


def _refused(reason: RepairRefusal, message: str, made_due: Sequence[Change] = (), *, as_json: bool) -> int:
    import orjson

    from cli.console import note
    from cli.row_changes import as_document, as_line

    if as_json:
        due = [as_document(change) for change in made_due]
        print(orjson.dumps({"verdict": "refused", "reason": reason, "made_due": due}).decode())
    for change in made_due[:LINES_MAX]:
        note(as_line(change))
    note(f"refused, {reason}: {message}")
    return EXIT_REFUSED


def _print(options: RebuildOptions, found: Rebuilt, *, as_json: bool) -> None:
    import orjson

    from cli.row_changes import as_document, as_line
    from operations.tally import CHANGES_MAX

    if as_json:
        document = {
            "verdict": "equal" if not found.differs else "rebuilt" if options.is_applied else "differs",
            "records": found.records,
            "differs": found.differs,
            "waiting": found.waiting,
            "outside_retention": found.outside_retention,
            "rows_swapped": found.rows_swapped,
            "changes": [as_document(change) for change in found.changes],
        }
        print(orjson.dumps(document).decode())
        return
    for change in found.changes[:LINES_MAX]:
        print(as_line(change))
    if len(found.changes) > LINES_MAX:
        print(f"… and {found.differs - LINES_MAX} more (--json shows up to {CHANGES_MAX:,})")
    print(_summary(options, found))


def _summary(options: RebuildOptions, found: Rebuilt) -> str:
    done = f"{found.rows_swapped} restored" if options.is_applied else "nothing is restored yet"
    parts = [f"{found.records} records", f"{found.differs} row(s) differ from the topic, {done}"]
    if found.outside_retention:
        parts.append(f"{found.outside_retention} unchanged, because their events may be deleted")
    if found.waiting:
        parts.append(f"{found.waiting} with an answer that is not applied yet")
    return "; ".join(parts)
