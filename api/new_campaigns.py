"""The values of a new campaign, for the REST API and the command line, and the window that it has by default."""

from __future__ import annotations

from uuid import UUID

from api.bodies import CampaignIn
from domain.windows import ALL_DAY, DAYTIME
from runtime.settings import Settings
from tables.campaigns import NewCampaign

NUMBERS_SHOWN = 20


class UnknownNumber(ValueError):
    """No number is given, or one that the settings do not name. The text is for the person who gave it."""


def chosen_number(settings: Settings, given: str | None) -> str:
    """The number that sends: the given one, or that of the settings. Raises UnknownNumber.

    Without a list of numbers in the settings any number may be given.
    """
    number = given or settings.whatsapp_phone_number_id
    if not number:
        raise UnknownNumber("phone_number_id is required, because no default number is set.")
    if settings.whatsapp_numbers and number not in settings.known_numbers:
        known = ", ".join(sorted(settings.known_numbers)[:NUMBERS_SHOWN])
        raise UnknownNumber(f"The settings do not name this number. They name {known}.")
    return number


def new_campaign(body: CampaignIn, number: str, *, by_day: bool, excluded: tuple[UUID, ...]) -> NewCampaign:
    """The campaign that is sent from this number.

    Without a window of its own it sends in the daytime (`by_day`, where it reaches people), or at any hour.
    `excluded`: the campaigns that the body names in `exclude_campaigns`.
    """
    opens, closes = DAYTIME if by_day else ALL_DAY
    return NewCampaign(**{
        **body.model_dump(),
        "phone_number_id": number,
        "exclude_campaigns": excluded,
        "window_from": body.window_from or opens,
        "window_to": body.window_to or closes,
    })  # fmt: skip
