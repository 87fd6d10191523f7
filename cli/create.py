"""`campaigns create`: creates a draft by the rules of the REST API. Nothing is sent before it is activated."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import (
    BlockLimit,
    CanaryMax,
    CanaryMin,
    CanaryShare,
    CanaryWait,
    CapWaitDays,
    ChosenEndpoint,
    DryRun,
    ExcludedCampaigns,
    ExcludedOnes,
    FailureLimit,
    FrequencyCapped,
    Json,
    OptOutLimit,
    QuietTimes,
    StaleAfter,
    StartAt,
    UnknownLimit,
    WindowDays,
    WindowTimes,
    Yes,
    country_code,
)

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings
    from tables.campaigns import NewCampaign
    from tables.database import Connection


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the campaign, such as 'Spring sale'")],
    *,
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
        str | None,
        typer.Option("--country", callback=country_code, help="Country of numbers without + or 00, as US or DE"),
    ] = None,
    days: WindowDays = None,
    window: WindowTimes = None,
    window_zone: Annotated[
        str | None,
        typer.Option("--window-zone", help="Whose clock the window follows: campaign, or recipient"),
    ] = None,
    quiet: QuietTimes = None,
    start_at: StartAt = None,
    stale_after: StaleAfter = None,
    canary: CanaryShare = None,
    canary_min: CanaryMin = None,
    canary_max: CanaryMax = None,
    canary_wait: CanaryWait = None,
    failure_limit: FailureLimit = None,
    opt_out_limit: OptOutLimit = None,
    block_limit: BlockLimit = None,
    unknown_limit: UnknownLimit = None,
    frequency_capped: FrequencyCapped = None,
    cap_wait: CapWaitDays = None,
    exclude: ExcludedCampaigns = None,
    exclude_recipients: ExcludedOnes = None,
    endpoint: ChosenEndpoint = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Create a draft. Nothing is sent before it is activated."""
    from cli.campaign_values import canary_settings, clearable, exclusion_settings, frequency_settings, timing
    from cli.confirmation import Consent
    from cli.connected import run_connected

    given = {
        "name": name, "template_name": template, "language_code": language, "daily_send_limit": daily_limit,
        "time_zone": time_zone,
        **clearable({"phone_number_id": number, "country": country, "endpoint": endpoint}),
        **timing(days, window, window_zone, quiet, start_at, stale_after),
        **canary_settings(
            canary, canary_min, canary_max, canary_wait,
            limits={
                "failure_limit_percent": failure_limit, "opt_out_limit_percent": opt_out_limit,
                "block_limit_percent": block_limit, "unknown_limit_percent": unknown_limit,
            },
        ),
        **frequency_settings(frequency_capped, cap_wait),
        **exclusion_settings(exclude, exclude_recipients),
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
    from cli.campaign_report import window_text
    from cli.campaign_values import excluded_by_id, invalid_window, known_number
    from cli.confirmation import decline
    from cli.console import note, printable
    from domain.editing import SETTINGS
    from domain.windows import InvalidWindow
    from runtime.process import EXIT_OK
    from runtime.settings_rules import has_simulator
    from tables import campaigns
    from tables.campaign_names import short_id

    given = {**given, **await excluded_by_id(connection, given)}
    if given.get("phone_number_id") is not None:
        known_number(settings, given["phone_number_id"])
    new = campaign_of(given, settings.whatsapp_phone_number_id, by_day=not has_simulator(settings))
    try:
        await campaigns.require_opening(connection, {name: getattr(new, name) for name in SETTINGS})
    except InvalidWindow as invalid:
        raise invalid_window(invalid) from None
    limit = "without a daily limit" if new.daily_send_limit is None else f"{new.daily_send_limit:,} a day"
    change = (
        f"create the draft {new.name}: template {new.template_name} ({new.language_code}), {limit}, "
        f"from the number {new.phone_number_id}, {window_text(new)}"
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


def campaign_of(given: dict[str, Any], default_number: str, *, by_day: bool = True) -> NewCampaign:
    """The values of a new campaign by the rules of the REST API. Raises InvalidOptions, which names each option."""
    from uuid import UUID

    from api.bodies import CampaignIn
    from api.new_campaigns import new_campaign
    from cli.campaign_values import NO_NUMBER, OPTIONS, checked
    from operations.options import InvalidOptions

    body = checked(CampaignIn, given, {**OPTIONS, "name": "NAME"})
    number = body.phone_number_id or default_number
    if not number:
        raise InvalidOptions(NO_NUMBER)
    return new_campaign(body, number, by_day=by_day, excluded=tuple(map(UUID, body.exclude_campaigns)))
