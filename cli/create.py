"""`campaigns create`: creates a draft by the rules of the REST API. Nothing is sent before it is activated."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DryRun, Json, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings
    from tables.campaigns import NewCampaign
    from tables.database import Connection


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign, such as 'Spring sale'")],
    template: Annotated[str, typer.Option("--template", help="Name of the approved message template")],
    language: Annotated[str, typer.Option("--language", help="Language of the template, as en or en_US")] = "en_US",
    daily_limit: Annotated[
        int | None, typer.Option("--daily-limit", help="Most messages on one day; without it there is no limit")
    ] = None,
    number: Annotated[
        str | None, typer.Option("--number", help="Phone number id of the sender; else that of the settings")
    ] = None,
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="Zone of the campaign's days, as America/Sao_Paulo")
    ] = "UTC",
    country: Annotated[
        str | None, typer.Option("--country", help="Country of numbers without + or 00, as US or DE")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Create a draft. Nothing is sent before it is activated."""
    from cli.confirmation import Consent
    from cli.connected import run_connected

    given = {
        "name": name, "template_name": template, "language_code": language, "daily_send_limit": daily_limit,
        "phone_number_id": number, "time_zone": time_zone, "country": country,
    }  # fmt: skip
    consent = Consent(yes, dry_run)
    raise typer.Exit(
        run_connected("create", lambda settings, found: create_campaign(settings, found, given, consent, as_json=json))
    )


async def create_campaign(
    settings: Settings, connection: Connection, given: dict[str, Any], consent: Consent, *, as_json: bool
) -> int:
    """Create the draft, if the operator consents, and print its id. Raises InvalidOptions."""
    from api.answers import CampaignOut
    from cli.confirmation import decline
    from cli.console import note, printable
    from runtime.process import EXIT_OK
    from tables import campaigns
    from tables.campaign_names import short_id

    new = campaign_of(given, settings.whatsapp_phone_number_id)
    limit = "without a daily limit" if new.daily_send_limit is None else f"{new.daily_send_limit:,} a day"
    change = (
        f"create the draft {new.name}: template {new.template_name} ({new.language_code}), {limit}, "
        f"from the number {new.phone_number_id}"
    )
    if (ending := decline(consent, change)) is not None:
        return ending
    created = await campaigns.create(connection, new)
    print(CampaignOut.model_validate(created).model_dump_json() if as_json else created.id)
    short = short_id(created.id)
    note(printable(
        f"created {created.name}. To add recipients: campaigns add {short} FILE, or phone numbers. "
        f"To send: campaigns activate {short}"
    ))  # fmt: skip
    return EXIT_OK


def campaign_of(given: dict[str, Any], default_number: str) -> NewCampaign:
    """The values of a new campaign by the rules of the REST API. Raises InvalidOptions, which names each option."""
    from api.bodies import CampaignIn
    from cli.campaign_values import NO_NUMBER, OPTIONS, checked
    from operations.options import InvalidOptions
    from tables.campaigns import NewCampaign

    body = checked(CampaignIn, given, {**OPTIONS, "name": "NAME"})
    number = body.phone_number_id or default_number
    if not number:
        raise InvalidOptions(NO_NUMBER)
    return NewCampaign(**{**body.model_dump(), "phone_number_id": number})
