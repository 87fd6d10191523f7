"""`campaigns remove`: removes recipients that are not released yet. One that is refused stops no other."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from cli.options import CampaignName, DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from domain.people import PersonKey
    from tables.database import Connection

EXIT_NOT_ALL = 1


def remove(
    campaign: CampaignName,
    recipients: Annotated[
        list[str], typer.Argument(metavar="NUMBER|ID...", help="Phone numbers in any spelling, or recipient ids")
    ],
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Remove recipients that are not released yet from a campaign. Each one that is refused is reported."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected("remove", lambda _, found: remove_recipients(found, campaign, recipients, consent, as_json=json))
    )


async def remove_recipients(
    connection: Connection, name: str, written: Sequence[str], consent: Consent, *, as_json: bool
) -> int:
    """Remove the recipients, if the operator consents. Raises NotOneCampaign, and InvalidOptions for a wrong number."""
    import orjson

    from cli.confirmation import decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import campaigns, removal
    from tables.removal import NoSuchRecipient, RecipientReleased

    found = await find_campaign(connection, name)
    country = (await campaigns.read(connection, found.id)).country
    named = [(place, _named(each, place, country)) for place, each in enumerate(written, start=1)]
    change = f"remove {len(named):,} recipient(s) from {label(found)}, which is {found.status}"
    if (ending := decline(consent, change)) is not None:
        return ending
    removed: list[int] = []
    refused: list[tuple[int, str]] = []
    for place, recipient in named:
        try:
            await removal.remove(connection, found.id, recipient)
        except NoSuchRecipient:
            refused.append((place, "the campaign has no such recipient"))
        except RecipientReleased:
            refused.append((place, "it was released already; to send nothing more, opt the person out"))
        else:
            removed.append(place)
    for place, why in refused:
        note(f"argument {place}: not removed: {why}")
    if as_json:
        print(orjson.dumps({
            "campaign_id": found.id, "removed": len(removed),
            "refused": [{"place": f"argument {place}", "why": why} for place, why in refused],
        }).decode())  # fmt: skip
    note(printable(f"removed {len(removed):,} recipient(s) from {label(found)}; {len(refused):,} refused"))
    return EXIT_NOT_ALL if refused else EXIT_OK


def _named(written: str, place: int, country: str | None) -> UUID | PersonKey:
    from contextlib import suppress

    from domain.phone_numbers import person_named
    from domain.written_numbers import InvalidPhoneNumber
    from operations.options import InvalidOptions

    with suppress(ValueError):
        return UUID(written)
    try:
        return person_named(written, country).person
    except InvalidPhoneNumber as invalid:
        raise InvalidOptions(f"argument {place}: {invalid.reason.meaning} Nothing was removed.") from None
