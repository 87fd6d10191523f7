"""`campaigns clone`: creates a draft with the settings of a campaign and, if wanted, its recipients."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from tables.database import Connection

EXIT_REFUSED = 1


def clone(
    campaign: CampaignName,
    name: Annotated[str | None, typer.Option("--name", help="Name of the draft; else '(copy)' is added")] = None,
    recipients: Annotated[bool, typer.Option("--recipients", help="Copy the recipients too")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Create a draft with the settings of a campaign in any state and, if wanted, its recipients."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected(
            "clone", lambda _, found: clone_campaign(found, campaign, name, consent, copies=recipients, as_json=json)
        )
    )


async def clone_campaign(
    connection: Connection, campaign: str, name: str | None, consent: Consent, *, copies: bool, as_json: bool
) -> int:
    """Clone the named campaign, if the operator consents. Raises NotOneCampaign and InvalidOptions."""
    from api.answers import CampaignOut
    from api.bodies import CloneIn
    from cli.campaign_values import checked
    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import drafts, stats
    from tables.campaign_names import short_id
    from tables.drafts import TooManyToClone

    found = await find_campaign(connection, campaign)
    wanted = checked(CloneIn, {"name": f"{found.name[:190]} (copy)" if name is None else name, "recipients": copies})
    total = (await stats.read_one(connection, found.id)).total_target
    people = f"its {total:,} recipient(s)" if copies else "no recipients"
    change = f"create the draft {wanted.name} with the settings of {label(found)} and {people}"
    if (ending := decline(consent, change)) is not None:
        return ending
    try:
        created = await drafts.clone(connection, found.id, wanted.name, with_recipients=copies)
    except TooManyToClone as refused:
        note(printable(f"not cloned: {refused}"))
        return EXIT_REFUSED
    print(CampaignOut.model_validate(created).model_dump_json() if as_json else created.id)
    short = short_id(created.id)
    note(
        printable(f"created {created.name}. To change it: campaigns edit {short}. To send: campaigns activate {short}")
    )
    return EXIT_OK
