"""`campaigns pause`: stops sending. It needs only Postgres, so it works while Kafka is down.

A named campaign is paused at once. `--all` shows the active campaigns and asks.
"""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from operations.pausing import PauseResult
    from tables.database import Connection

EXIT_NOT_ALL = 1


def pause(
    campaigns: Annotated[
        list[str] | None,
        typer.Argument(metavar="CAMPAIGN...", help="Each by its id, the end of its id, or its name"),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every active campaign")] = False,
    reason: Annotated[str, typer.Option(help="Why; shown with the campaign until it is resumed")] = "operator",
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Stop sending campaigns within two seconds. Named ones are paused at once; --all asks."""
    from cli.confirmation import Consent

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_pause(campaigns or [], reason, consent, is_all=everything, as_json=json))


def run_pause(names: Sequence[str], reason: str, consent: Consent, *, is_all: bool, as_json: bool) -> int:
    """`campaigns pause`; returns the exit code."""
    from cli.connected import run_connected
    from cli.console import note
    from operations.pausing import SESSION
    from runtime.process import EXIT_TRANSIENT, EXIT_USAGE

    if bool(names) == is_all:
        note("Give campaigns, or --all for every active campaign. To see them: campaigns status")
        return EXIT_USAGE
    if not reason.strip():
        note("--reason must not be empty: it is shown until the campaign is resumed.")
        return EXIT_USAGE
    ending = run_connected(
        "pause",
        lambda _, connection: (
            pause_all(connection, reason, consent, as_json=as_json)
            if is_all
            else pause_named(connection, names, reason, is_dry=consent.is_dry, as_json=as_json)
        ),
        session=SESSION,
    )
    if ending == EXIT_TRANSIENT:
        note(
            "NOT paused: PostgreSQL does not answer. Without it no sender starts a new message; "
            "to be certain, stop the sender processes."
        )
    return ending


async def pause_named(connection: Connection, names: Sequence[str], reason: str, *, is_dry: bool, as_json: bool) -> int:
    """Pause each named campaign at once. A name that is wrong does not keep the others from being paused."""
    from cli.confirmation import Consent, decline
    from cli.console import note, printable_lines
    from cli.lifecycle import label
    from operations import pausing
    from operations.campaign_names import NotOneCampaign, find_campaign
    from runtime.process import EXIT_USAGE

    found = {}
    wrong = 0
    for name in names:
        try:
            campaign = await find_campaign(connection, name)
        except NotOneCampaign as error:
            note(printable_lines(str(error)))
            wrong += 1
        else:
            found[campaign.id] = campaign
    if not found:
        return EXIT_USAGE
    change = "pause " + ",\n  ".join(f"{label(each)}, which is {each.status}" for each in found.values())
    if (ending := decline(Consent(is_given=True, is_dry=is_dry), change)) is not None:
        return EXIT_NOT_ALL if wrong else ending
    result = await pausing.pause(connection, list(found), reason)
    ending = _report(result, {key: label(each) for key, each in found.items()}, as_json=as_json)
    return EXIT_NOT_ALL if wrong else ending


async def pause_all(connection: Connection, reason: str, consent: Consent, *, as_json: bool) -> int:
    """Pause every active campaign, if the operator consents."""
    from cli.confirmation import decline
    from cli.console import note
    from operations import pausing
    from runtime.process import EXIT_OK
    from tables.campaigns import active_ids

    count = len(await active_ids(connection))
    if count and (ending := decline(consent, f"pause all {count} active campaign(s)")) is not None:
        return ending
    result = pausing.PauseResult((), ())
    if not consent.is_dry:
        result = await pausing.pause_all(connection, reason)
    if result == pausing.PauseResult((), ()):
        note("nothing to do: no campaign is active")
    return _report(result, {}, as_json=as_json) or EXIT_OK


def _report(result: PauseResult, labels: dict[UUID, str], *, as_json: bool) -> int:
    import orjson

    from cli.console import note, printable
    from operations.pausing import LOCKED
    from runtime.process import EXIT_OK

    def label(campaign: UUID) -> str:
        return printable(labels.get(campaign, str(campaign)))

    if as_json:
        refused = [{"campaign_id": each, "why": why} for each, why in result.refused]
        print(orjson.dumps({
            "paused": result.paused, "still_active": result.still_active, "refused": refused,
        }).decode())  # fmt: skip
    for each in result.paused:
        note(f"paused {label(each)}")
    for each in result.still_active:
        note(f"NOT paused, {label(each)}: {LOCKED}")
    for each, why in result.refused:
        note(f"not paused, {label(each)}: {why}")
    return EXIT_NOT_ALL if result.still_active or result.refused else EXIT_OK
