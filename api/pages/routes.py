"""The routes of the list and of one campaign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.pages.forms import UseSession
from api.pages.paths import CAMPAIGNS, HOME
from api.pages.rendering import page
from api.pages.views import STATUS_WORDS, CampaignView, view
from api.services import UseCampaignId, UseListConnection
from domain.lifecycle import CampaignStatus
from schemas.model import CampaignId
from schemas.stats import CampaignProgress
from tables import breakers, campaigns, stats
from tables.database import Connection

GROUP_MAX = 50
"""Most campaigns of one status on the list. Older ones are on further pages."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class CampaignGroup:
    """The campaigns of one status."""

    status: CampaignStatus
    word: str
    views: Sequence[CampaignView]
    older: UUID | None
    """The id before which the next page begins."""


@router.get(HOME)
async def show_list(
    connection: UseListConnection,
    session: UseSession,
    status: Annotated[CampaignStatus | None, Query()] = None,
    before: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """Show the newest campaigns of each status; with `status` and `before`, older ones of one."""
    groups = await read_groups(connection, [status] if status else list(STATUS_WORDS), before)
    return page("list.html", session=session, groups=groups)


@router.get(CAMPAIGNS + "/{campaign_id}")
async def show_campaign(campaign_id: UseCampaignId, connection: UseListConnection, session: UseSession) -> HTMLResponse:
    """Show one campaign."""
    campaign = await campaigns.read(connection, campaign_id)
    progress = await stats.read_one(connection, campaign_id)
    held = await breakers.holding(connection, campaign_id)
    return page("campaign.html", session=session, view=view(campaign, progress, eta=progress.eta, breakers=held))


async def read_groups(
    connection: Connection, statuses: Sequence[CampaignStatus], before: UUID | None = None
) -> list[CampaignGroup]:
    """The newest campaigns of each status that has any, in the order of the statuses."""
    found = await campaigns.newest_by_status(connection, statuses, GROUP_MAX + 1, before)
    progress = await stats.read(connection, [CampaignId(each.id) for each in found])
    groups = []
    for status in statuses:
        listed = [each for each in found if each.status is status]
        shown = listed[:GROUP_MAX]
        views = [_view(each, progress) for each in shown if each.id in progress]
        if views:
            older = shown[-1].id if len(listed) > GROUP_MAX else None
            groups.append(CampaignGroup(status, STATUS_WORDS[status].word, views, older))
    return groups


def _view(campaign: campaigns.Campaign, progress: dict[CampaignId, CampaignProgress]) -> CampaignView:
    found = progress[CampaignId(campaign.id)]
    return view(campaign, found, eta=found.eta)
