"""Reads the settings of a campaign from options by the rules of the REST API, and says in words what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.new_campaigns import UnknownNumber, chosen_number
from api.validation import model_errors
from cli.options import NONE
from domain.exclusions import InvalidExclusion
from domain.windows import InvalidWindow
from operations.options import InvalidOptions
from runtime.settings import Settings
from tables.database import Connection

OPTIONS = {
    "name": "--name",
    "template_name": "--template",
    "language_code": "--language",
    "daily_send_limit": "--daily-limit",
    "phone_number_id": "--number",
    "time_zone": "--time-zone",
    "country": "--country",
    "window_days": "--days",
    "window_from": "--window",
    "window_to": "--window",
    "window_zone": "--window-zone",
    "quiet_from": "--quiet",
    "quiet_to": "--quiet",
    "start_at": "--start-at",
    "stale_after_hours": "--stale-after",
    "canary": "--canary",
    "canary_percent": "--canary",
    "canary_min": "--canary-min",
    "canary_max": "--canary-max",
    "canary_wait_minutes": "--canary-wait",
    "failure_limit_percent": "--failure-limit",
    "opt_out_limit_percent": "--opt-out-limit",
    "block_limit_percent": "--block-limit",
    "unknown_limit_percent": "--unknown-limit",
    "frequency_capped": "--frequency-cap",
    "cap_wait_days": "--cap-wait",
    "exclude_campaigns": "--exclude",
    "exclude_recipients": "--exclude-recipients",
    "endpoint": "--endpoint",
}
"""Setting to its option."""
_RANGE = "Write two local times as HH:MM-HH:MM, such as 09:00-20:00."
WORDS = {
    "daily_send_limit": "Write a whole number from 1 to 2,147,483,647. Without the option there is no limit.",
    "window_days": "Write days of the week with commas, such as mon,tue,wed,thu,fri.",
    "window_from": f"{_RANGE} 00:00-24:00 is the whole day.",
    "window_to": f"{_RANGE} 00:00-24:00 is the whole day.",
    "quiet_from": f"{_RANGE} none removes the quiet hours.",
    "quiet_to": f"{_RANGE} none removes the quiet hours.",
    "start_at": "Write a time with its offset from UTC, such as 2027-03-01T09:00+01:00, or none.",
    "stale_after_hours": "Write a whole number of hours from 1 to 8,760, or none for never.",
    "cap_wait_days": "Write a whole number of days from 0 to 365. 0 skips people above the frequency cap at once.",
    "exclude_campaigns": "Name up to 20 campaigns, or none.",
    "phone_number_id": "Write the phone number id (digits), or none for the number of the settings.",
    "country": "Write a country as two letters, such as DE or US, or none.",
    "endpoint": "Write messages or marketing_messages, or none for the endpoint of the settings.",
    "canary_percent": "Write a share of the audience in percent from 0.01 to 100, or none for no canary.",
}
"""Words for a setting where those of the REST API do not fit a command line."""
NO_NUMBER = (
    "--number is required, because CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID is not set. "
    "It is the id of the sending number in Meta's WhatsApp Manager."
)
NO_NUMBER_OF_SETTINGS = "Name a number, because CAMPAIGNS_WHATSAPP_PHONE_NUMBER_ID is not set."
DIGITS_MAX = 10
M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], given: Mapping[str, Any], options: Mapping[str, str] = OPTIONS) -> M:
    """The body of the REST API with these settings. Raises InvalidOptions, with a line for each wrong option."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        lines = [
            f"{options.get(field, field)}: {WORDS.get(field, message)}" for field, message in model_errors(error, model)
        ]
        raise InvalidOptions("\n".join(dict.fromkeys(lines))) from None


def known_number(settings: Settings, number: str | None) -> str:
    """The number that sends: the given one, or that of the settings.

    Raises InvalidOptions without one, and for a number that the settings do not name, if they name numbers.
    """
    try:
        return chosen_number(settings, number)
    except UnknownNumber as error:
        detail = str(error) if number or settings.whatsapp_phone_number_id else NO_NUMBER_OF_SETTINGS
        raise InvalidOptions(f"{OPTIONS['phone_number_id']}: {detail}") from None


def invalid_window(invalid: InvalidWindow) -> InvalidOptions:
    """The same refusal for the option of the setting."""
    return InvalidOptions(f"{OPTIONS[invalid.field]}: {invalid}")


def invalid_exclusion(invalid: InvalidExclusion) -> InvalidOptions:
    """The same refusal for the option of the setting."""
    return InvalidOptions(f"{OPTIONS['exclude_campaigns']}: {invalid}")


def timing(
    days: str | None,
    window: str | None,
    window_zone: str | None,
    quiet: str | None,
    start_at: str | None,
    stale_after: str | None,
) -> dict[str, Any]:
    """The settings of the options that decide when a campaign sends. An option that is not given sets nothing."""
    given: dict[str, Any] = {}
    if days is not None:
        given["window_days"] = [day.strip().lower() for day in days.split(",")]
    if window is not None:
        given["window_from"], given["window_to"] = _range(window)
    if window_zone is not None:
        given["window_zone"] = window_zone
    if quiet is not None:
        given["quiet_from"], given["quiet_to"] = (None, None) if quiet == NONE else _range(quiet)
    if start_at is not None:
        given["start_at"] = None if start_at == NONE else start_at
    if stale_after is not None:
        is_number = stale_after.isascii() and stale_after.isdigit() and len(stale_after) < DIGITS_MAX
        given["stale_after_hours"] = None if stale_after == NONE else int(stale_after) if is_number else stale_after
    return given


def canary_settings(
    percent: str | None,
    least: int | None,
    most: int | None,
    wait: int | None,
    *,
    limits: Mapping[str, float | None],
) -> dict[str, Any]:
    """The settings of the options of the canary and of the limits. An option that is not given sets nothing."""
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("canary_min", least), ("canary_max", most), ("canary_wait_minutes", wait), *limits.items()
        )
        if value is not None
    }  # fmt: skip
    if percent is not None:
        given["canary"] = percent != NONE
        if percent != NONE:
            given["canary_percent"] = _number(percent)
    return given


def frequency_settings(is_capped: bool | None, wait_days: int | None) -> dict[str, Any]:
    """The settings of the options of the frequency cap. An option that is not given sets nothing."""
    given = {"frequency_capped": is_capped, "cap_wait_days": wait_days}
    return {name: value for name, value in given.items() if value is not None}


def clearable(given: Mapping[str, str | None]) -> dict[str, Any]:
    """Settings that `none` clears. An option that is not given sets nothing."""
    return {name: None if value == NONE else value for name, value in given.items() if value is not None}


def exclusion_settings(campaigns: list[str] | None, recipients: str | None) -> dict[str, Any]:
    """The settings of the options of exclusions, with campaigns as they are named. `none` excludes no campaign."""
    given: dict[str, Any] = {}
    if campaigns:
        given["exclude_campaigns"] = [] if campaigns == [NONE] else campaigns
    if recipients is not None:
        given["exclude_recipients"] = recipients
    return given


async def excluded_by_id(connection: Connection, given: Mapping[str, Any]) -> dict[str, Any]:
    """The setting of the excluded campaigns with their ids, if it is given. Raises NotOneCampaign."""
    from operations.campaign_names import find_all  # noqa: PLC0415 - most commands need no database

    names = given.get("exclude_campaigns")
    return {} if names is None else {"exclude_campaigns": [str(each.id) for each in await find_all(connection, names)]}


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _range(text: str) -> tuple[str, str]:
    start, _, end = text.partition("-")
    return start.strip(), end.strip()
