"""The values of a new campaign, for the REST API and the command line, and the window that it has by default."""

from __future__ import annotations

from uuid import UUID

from api.bodies import CampaignIn
from domain.windows import ALL_DAY, DAYTIME
from tables.campaigns import NewCampaign


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
