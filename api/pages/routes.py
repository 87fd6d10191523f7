"""The routes of the list and of one campaign. Without Postgres they show the last known figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.pages import reading
from api.pages.board import KnownCampaign
from api.pages.forms import UseSession
from api.pages.health import health_view
from api.pages.live import order_of
from api.pages.paths import CAMPAIGNS, HOME
from api.pages.rendering import page
from api.pages.story import PERSON_STATUS
from api.pages.timeline import MINUTES_MAX, plot
from api.pages.views import STATUS_WORDS, CampaignView
from api.services import Services, UseCampaignId, UseServices
from domain.lifecycle import CampaignStatus
from tables import stats
from tables.database import Connection, is_transient
from tables.stats import Minute

PATIENCE_S = 1.5
"""How long a page waits for Postgres if there are last known figures to show."""

DONE: Mapping[str, str] = MappingProxyType(
    {
        "activated": "The campaign is active: the first messages leave within seconds.",
        "paused": "The campaign is paused: within two seconds nothing more is sent.",
        "resumed": "The campaign continues.",
        "cancelled": "The campaign is cancelled. Messages that were sent keep their statuses.",
        "retried": "The failed messages are sent again as soon as the campaign sends.",
        "edited": "The settings are changed.",
        "cloned": "The draft was created. Nothing is sent before you activate it.",
        "unknown-assume-sent": "The messages count as sent within seconds.",
        "unknown-retry": "The messages with an unknown outcome are sent again as soon as the campaign sends.",
    }
)
"""What a form has done, in words."""

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
    services: UseServices,
    session: UseSession,
    status: Annotated[CampaignStatus | None, Query()] = None,
    before: Annotated[UUID | None, Query()] = None,
) -> HTMLResponse:
    """Show the newest campaigns of each status; with `status`, older ones of one."""
    board = services.board

    async def read(connection: Connection) -> list[KnownCampaign]:
        if status is not None:
            return await reading.read_older(connection, board, status, before)
        return await reading.read_list(connection, board)

    found = await known_or_last(services, read, board.listed())
    return page(
        "list.html",
        session=session,
        groups=grouped([each.view() for each in found]),
        is_live=status is None,
        order=order_of(board),
        health=health_view(board.state),
    )


@router.get(CAMPAIGNS + "/{campaign_id}")
async def show_campaign(
    campaign_id: UseCampaignId, services: UseServices, session: UseSession, done: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """Show one campaign. `done` is the form that led here."""
    board = services.board

    minutes: list[Minute] = []

    async def read(connection: Connection) -> list[KnownCampaign]:
        minutes.extend(await stats.read_timeline(connection, campaign_id, MINUTES_MAX))
        return [await reading.read_campaign(connection, board, campaign_id)]

    last = board.get(campaign_id)
    [known] = await known_or_last(services, read, [] if last is None else [last])
    return page(
        "campaign.html",
        session=session,
        view=known.view(),
        health=health_view(board.state),
        done=DONE.get(done, ""),
        plot=plot(minutes),
        statuses=PERSON_STATUS,
        given={"q": "", "status": ""},
        problem="",
        csv="people.csv",
    )


async def known_or_last(
    services: Services,
    read: Callable[[Connection], Awaitable[list[KnownCampaign]]],
    last: list[KnownCampaign],
) -> list[KnownCampaign]:
    """What Postgres has; while it does not answer, the last known campaigns if there are any."""
    try:
        async with services.lists.connection(PATIENCE_S if last else None) as connection:
            found = await read(connection)
    except Exception as error:
        if not is_transient(error) or not last:
            raise
        services.board.postgres_is_away(services.clock())
        return last
    services.board.set_state(postgres_away_since=None)
    return found


def grouped(views: Sequence[CampaignView]) -> list[CampaignGroup]:
    """Views in the order of their status, as groups of `GROUP_MAX` at most."""
    groups = []
    for status, of_status in groupby(views, key=lambda each: each.campaign.status):
        listed = list(of_status)
        shown = listed[: reading.GROUP_MAX]
        older = shown[-1].campaign.id if len(listed) > len(shown) else None
        groups.append(CampaignGroup(status, STATUS_WORDS[status].word, shown, older))
    return groups
