"""The recipients of a campaign: a list with search and filter, all of them as CSV, and the history of one message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import Response

from api.exports import Selection, export_recipients, table_answer
from api.pages import reading
from api.pages.forms import UseSession
from api.pages.health import health_view
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import page
from api.pages.story import PERSON_STATUS, last_change, masked, reason_of, story
from api.pages.timeline import MINUTES_MAX, plot
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.services import UseCampaignId, UseListConnection, UseServices
from domain.recipient_search import read_search
from domain.status import Status
from domain.table_files import TableForm
from domain.written_numbers import InvalidPhoneNumber
from tables import campaigns, recipient_pages, stats, trace
from tables.database import Connection
from tables.recipient_pages import FIRST_ID, Page, Recipient, SearchResult

PAGE_ROWS = 50
EMPTY_PAGES_MAX = 5
"""A page of a filter may be empty before the end. So many are skipped at once: about a tenth of a second."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ShownPerson:
    """One line of the list."""

    recipient: Recipient
    number: str
    word: str
    icon: str
    tone: str
    at: Any
    reason: str


@router.get(CAMPAIGNS + "/{campaign_id}/people")
async def show_people(
    campaign_id: UseCampaignId,
    services: UseServices,
    session: UseSession,
    q: Annotated[str, Query(max_length=200)] = "",
    status: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[UUID, Query()] = FIRST_ID,
) -> Response:
    """Show a page of recipients, all or those with a status, or those that a search finds among all of the campaign."""
    wanted, problem = _status(status), ""
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
        statuses = [wanted.value] if wanted else None
        found = SearchResult([])
        following = None
        if not q.strip():
            listed = await _page(connection, campaign_id, statuses, after)
            found, following = SearchResult(listed.rows), listed.after
        else:
            try:
                search = read_search(q, known.campaign.country)
            except InvalidPhoneNumber as invalid:
                problem = f"This is no number, no user id, and no beginning of one. {invalid.reason.meaning}"
            else:
                found = await recipient_pages.search(
                    connection, campaign_id, search, limit=PAGE_ROWS, statuses=statuses
                )
    given = {"q": q, "status": wanted.value if wanted else ""}
    return page(
        "people.html",
        session=session,
        status=422 if problem else 200,
        view=known.view(),
        health=health_view(services.board.state),
        people=[_shown(each) for each in found.rows],
        statuses=PERSON_STATUS,
        given=given,
        problem=problem,
        next_page=f"?{urlencode({**given, 'after': str(following)})}" if following else "",
        is_cut=found.is_cut,
        csv="" if q.strip() else f"people.csv?{urlencode(given)}",
        is_first=after == FIRST_ID,
    )


@router.get(CAMPAIGNS + "/{campaign_id}/people.csv")
async def download_people(
    campaign_id: UseCampaignId, services: UseServices, status: Annotated[str, Query(max_length=20)] = ""
) -> Response:
    """Send all recipients of the list as CSV, page by page."""
    async with services.lists.connection() as connection:
        await campaigns.read(connection, campaign_id)
    wanted = _status(status)
    chosen = Selection(campaign_id, [wanted] if wanted else None)
    rows = export_recipients(services.lists.connection, chosen, TableForm.CSV)
    return table_answer("recipients", chosen, TableForm.CSV, rows)


@router.get(CAMPAIGNS + "/{campaign_id}/people/{recipient_id}")
async def show_person(
    campaign_id: UseCampaignId,
    recipient_id: UUID,
    services: UseServices,
    connection: UseListConnection,
    session: UseSession,
) -> Response:
    """Show the history of one message."""
    known = await reading.read_campaign(connection, services.board, campaign_id)
    found = await recipient_pages.read_one(connection, campaign_id, recipient_id)
    if found is None:
        raise Problem(ProblemCode.UNKNOWN_RECIPIENT)
    steps = story(
        found,
        await trace.read_releases(connection, recipient_id),
        await trace.read_ledger(connection, recipient_id),
        await trace.read_subscriptions(connection, found.person),
    )
    return page("person.html", session=session, view=known.view(), person=_shown(found), steps=steps)


@router.get(CAMPAIGNS + "/{campaign_id}/timeline")
async def show_timeline(campaign_id: UseCampaignId, connection: UseListConnection, session: UseSession) -> Response:
    """Show the part of the page with the plot, which the script draws from the table."""
    minutes = await stats.read_timeline(connection, campaign_id, MINUTES_MAX)
    return page("timeline.html", session=session, plot=plot(minutes))


def _status(given: str) -> Status | None:
    return next((each for each in Status if each.value == given), None)


async def _page(connection: Connection, campaign_id: UUID, statuses: Sequence[str] | None, after: UUID) -> Page:
    """The next page that is not empty, within limits."""
    found = Page([], after)
    for _ in range(EMPTY_PAGES_MAX):
        assert found.after is not None, "the loop ends with the list"
        found = await recipient_pages.read_page(
            connection, campaign_id, limit=PAGE_ROWS, after=found.after, statuses=statuses
        )
        if found.rows or found.after is None:
            break
    return found


def _shown(recipient: Recipient) -> ShownPerson:
    word, icon, tone = PERSON_STATUS[recipient.status]
    return ShownPerson(
        recipient,
        masked(recipient.phone_number or recipient.person),
        word,
        icon,
        tone,
        last_change(recipient),
        reason_of(recipient),
    )
