"""`campaigns edit`: changes settings by the rules of the REST API."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import (
    BlockLimit,
    CampaignName,
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
    from tables.database import Connection


def edit(
    campaign: CampaignName,
    *,
    name: Annotated[str | None, typer.Option("--name", help="New name")] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Name of the message template; drafts only")
    ] = None,
    language: Annotated[str | None, typer.Option("--language", help="Language of the template; drafts only")] = None,
    daily_limit: Annotated[
        int | None, typer.Option("--daily-limit", help="Most messages on one day; it holds at once, also today")
    ] = None,
    no_daily_limit: Annotated[bool, typer.Option("--no-daily-limit", help="Remove the daily limit")] = False,
    number: Annotated[
        str | None, typer.Option("--number", help="Phone number id of the sender, or none; drafts only")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option("--time-zone", help="Zone of the campaign's days; drafts only")
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            "--country", callback=country_code, help="Country of numbers without + or 00 that are added later; or none"
        ),
    ] = None,
    days: WindowDays = None,
    window: WindowTimes = None,
    window_zone: Annotated[
        str | None,
        typer.Option("--window-zone", help="Whose clock the window follows: campaign or recipient; drafts only"),
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
    """Change settings of a campaign: all of a draft; later those that change no message, such as limit and window."""
    from cli.campaign_values import (
        canary_settings,
        clearable,
        exclusion_settings,
        frequency_settings,
        known_number,
        timing,
    )
    from cli.confirmation import Consent
    from cli.connected import run_connected
    from cli.console import note
    from runtime.process import EXIT_USAGE

    given = {
        "name": name, "template_name": template, "language_code": language, "daily_send_limit": daily_limit,
        "time_zone": time_zone,
    }  # fmt: skip
    changes: dict[str, Any] = {each: value for each, value in given.items() if value is not None}
    changes |= clearable({"phone_number_id": number, "country": country, "endpoint": endpoint})
    changes |= timing(days, window, window_zone, quiet, start_at, stale_after)
    changes |= canary_settings(
        canary, canary_min, canary_max, canary_wait,
        limits={
            "failure_limit_percent": failure_limit, "opt_out_limit_percent": opt_out_limit,
            "block_limit_percent": block_limit, "unknown_limit_percent": unknown_limit,
        },
    )  # fmt: skip
    changes |= frequency_settings(frequency_capped, cap_wait)
    changes |= exclusion_settings(exclude, exclude_recipients)
    if no_daily_limit:
        if daily_limit is not None:
            note("Give --daily-limit or --no-daily-limit, not both.")
            raise typer.Exit(EXIT_USAGE)
        changes["daily_send_limit"] = None
    if not changes:
        note("Name at least one setting to change, such as --daily-limit 500. To see all: campaigns edit --help")
        raise typer.Exit(EXIT_USAGE)
    consent = Consent(yes, dry_run)

    async def work(settings: Settings, connection: Connection) -> int:
        if "phone_number_id" in changes:
            changes["phone_number_id"] = known_number(settings, changes["phone_number_id"])
        return await edit_campaign(connection, campaign, changes, consent, as_json=json)

    raise typer.Exit(run_connected("edit", work))


async def edit_campaign(
    connection: Connection, name: str, given: dict[str, Any], consent: Consent, *, as_json: bool
) -> int:
    """Change the named campaign, if the operator consents. Raises NotOneCampaign and InvalidOptions."""
    from uuid import UUID

    from api.answers import CampaignOut
    from api.bodies import CampaignPatch
    from cli.campaign_values import checked, excluded_by_id, invalid_exclusion, invalid_window
    from cli.confirmation import EXIT_DECLINED, decline
    from cli.console import note, printable
    from cli.lifecycle import label
    from domain.editing import OPENED_BY, SETTINGS, SettingNotEditable, judge_edit
    from domain.exclusions import InvalidExclusion
    from domain.windows import InvalidWindow
    from operations.campaign_names import find_campaign
    from runtime.process import EXIT_OK
    from tables import campaigns, editing

    given = {**given, **await excluded_by_id(connection, given)}
    wanted = checked(CampaignPatch, given).model_dump(exclude_unset=True)
    if "exclude_campaigns" in wanted:
        wanted["exclude_campaigns"] = tuple(map(UUID, wanted["exclude_campaigns"]))
    found = await find_campaign(connection, name)
    known = await campaigns.read(connection, found.id)
    changes = {each: value for each, value in wanted.items() if getattr(known, each) != value}
    if not changes:
        note(printable(f"nothing to change: {label(found)} has these settings"))
        return EXIT_OK
    shown = ", ".join(f"{each} from {_text(getattr(known, each))} to {_text(changes[each])}" for each in changes)
    try:
        judge_edit(known.status, changes)
        if changes.keys() & OPENED_BY:
            settings = {each: changes.get(each, getattr(known, each)) for each in SETTINGS}
            await campaigns.require_opening(connection, settings)
        if (ending := decline(consent, f"change {label(found)}, which is {known.status}: {shown}")) is not None:
            return ending
        edited = await editing.edit(connection, found.id, changes)
    except SettingNotEditable as refused:
        note(printable(f"not changed: {refused}."))
        return EXIT_DECLINED
    except InvalidWindow as invalid:
        raise invalid_window(invalid) from None
    except InvalidExclusion as invalid:
        raise invalid_exclusion(invalid) from None
    if as_json:
        print(CampaignOut.model_validate(edited).model_dump_json())
    later = ". Recipients are planned again in the background" if edited.planning else ""
    note(printable(f"changed {label(found)}: {shown}{later}"))
    return EXIT_OK


def _text(value: object) -> str:
    return "none" if value is None else ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
