"""The forms of the page: add people to a campaign, and change its state. Each ends with a redirect to the page."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from api.additions import add, judge
from api.bodies import RECIPIENTS_MAX, PauseIn
from api.campaigns import act_on
from api.campaigns import resume as continue_campaign
from api.failed import RetryOrder, retry_failed
from api.pages import reading
from api.pages.forms import UseForm, UseSession
from api.pages.pasted import LINES_MAX, read_lines
from api.pages.paths import CAMPAIGNS, HOME
from api.pages.rendering import page
from api.pages.session import PageSession
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.recipient_answers import InvalidRecipient
from api.services import Services, UseCampaignId, UseServices, UseStopConnection
from api.template_checks import require_template
from domain.lifecycle import Action
from schemas.events import CODE_MAX
from tables import campaigns
from tables.campaigns import PAUSED_BY_OPERATOR
from topics.publisher import PublishFailed

REFUSED_SHOWN = 100
"""Most refused lines that the result names."""

router = APIRouter(include_in_schema=False)
log = structlog.get_logger("api")


def _to(campaign_id: UUID, done: str) -> RedirectResponse:
    return RedirectResponse(f"{CAMPAIGNS}/{campaign_id}?done={done}", 303)


# --------------------------------------------------------------------------------------------------------- add people


@dataclass(frozen=True, slots=True)
class PasteResult:
    """The fate of the pasted lines."""

    added: int
    present: int
    refused: int
    shown: tuple[tuple[int, InvalidRecipient], ...]
    """The first refused lines, by their number."""


@router.get(CAMPAIGNS + "/{campaign_id}/add")
async def show_add(campaign_id: UseCampaignId, services: UseServices, session: UseSession) -> Response:
    """Show the form that takes numbers."""
    return await _add_page(services, session, campaign_id, None)


@router.post(CAMPAIGNS + "/{campaign_id}/add")
async def add_people(campaign_id: UseCampaignId, form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Add the pasted numbers in pieces. A wrong line affects no other."""
    lines = read_lines(form.text("numbers"))
    if not lines or len(lines) > LINES_MAX:
        text = "Paste at least one number." if not lines else (
            f"These are {len(lines):,} lines. The page takes {LINES_MAX:,}: use `campaigns import` for larger lists."
        )  # fmt: skip
        return await _add_page(services, session, campaign_id, None, error=text)
    added, present, refused = 0, 0, list[tuple[int, InvalidRecipient]]()
    for start in range(0, len(lines), RECIPIENTS_MAX):
        piece = lines[start : start + RECIPIENTS_MAX]
        async with services.pool.connection() as connection:
            country = (await campaigns.read(connection, campaign_id)).country
        judged = await asyncio.to_thread(judge, [each for _, each in piece], country)
        async with services.pool.connection() as connection:
            done = await add(connection, campaign_id, judged)
        added += done.added
        present += len(done.duplicates)
        refused += [(piece[each.index][0], each) for each in done.invalid]
    result = PasteResult(added, present, len(refused), tuple(refused[:REFUSED_SHOWN]))
    return await _add_page(services, session, campaign_id, result)


async def _add_page(
    services: Services, session: PageSession, campaign_id: UUID, result: PasteResult | None, error: str = ""
) -> Response:
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
    status = 422 if error else 200
    return page("add.html", session=session, status=status, view=known.view(), result=result, error=error)


# -------------------------------------------------------------------------------------------------------------- state


@router.post(CAMPAIGNS + "/{campaign_id}/activate")
async def activate(campaign_id: UseCampaignId, _form: UseForm, services: UseServices) -> Response:
    """Start sending, unless Meta would refuse the messages."""
    await require_template(services.pool.connection, services.settings, services.templates, campaign_id)
    async with services.pool.connection() as connection:
        await act_on(campaign_id, Action.ACTIVATE, connection)
    return _to(campaign_id, "activated")


@router.post(CAMPAIGNS + "/{campaign_id}/pause")
async def pause(campaign_id: UseCampaignId, form: UseForm, connection: UseStopConnection) -> Response:
    """Stop sending. Nothing else can use up the connection for it."""
    try:
        pause_of = PauseIn.model_validate({"reason": form.optional("reason") or PAUSED_BY_OPERATOR})
    except ValidationError:
        raise Problem(ProblemCode.INVALID_FIELD, "The reason may have 200 characters. Nothing was paused.") from None
    await act_on(campaign_id, Action.PAUSE, connection, pause_of.reason)
    return RedirectResponse(HOME, 303) if form.text("back") == HOME else _to(campaign_id, "paused")


@router.post(CAMPAIGNS + "/{campaign_id}/resume")
async def resume(campaign_id: UseCampaignId, form: UseForm, services: UseServices) -> Response:
    """Continue, and first send again what can be, if the form says so, unless Meta would refuse the messages."""
    try:
        await continue_campaign(services, campaign_id, retry_failed=bool(form.text("retry_failed")))
    except PublishFailed:
        raise _kafka_is_away("the campaign stays paused") from None
    return RedirectResponse(HOME, 303) if form.text("back") == HOME else _to(campaign_id, "resumed")


@router.get(CAMPAIGNS + "/{campaign_id}/cancel")
async def show_cancel(campaign_id: UseCampaignId, services: UseServices, session: UseSession) -> Response:
    """Say how many people get no message, before anything is cancelled."""
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
    return page("cancel.html", session=session, view=known.view())


@router.post(CAMPAIGNS + "/{campaign_id}/cancel")
async def cancel(campaign_id: UseCampaignId, _form: UseForm, connection: UseStopConnection) -> Response:
    """Stop forever."""
    await act_on(campaign_id, Action.CANCEL, connection)
    return _to(campaign_id, "cancelled")


# -------------------------------------------------------------------------------------------------------------- retry


@router.get(CAMPAIGNS + "/{campaign_id}/retry")
async def show_retry(
    campaign_id: UseCampaignId,
    code: Annotated[int, Query(ge=0, le=CODE_MAX)],
    services: UseServices,
    session: UseSession,
) -> Response:
    """Say how many messages failed with this code, before any is sent again. The counters know it."""
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
    return page("retry.html", session=session, view=known.view(), code=code)


@router.post(CAMPAIGNS + "/{campaign_id}/retry")
async def retry(campaign_id: UseCampaignId, form: UseForm, services: UseServices) -> Response:
    """Send the failed messages of one code again. Doing it twice sends nothing twice."""
    code = form.text("code")
    if not code.isdecimal() or len(code) > len(str(CODE_MAX)):
        raise Problem(ProblemCode.INVALID_FIELD, "The form names no error code, so nothing was sent.")
    order = RetryOrder(frozenset({int(code)}))
    try:
        result = await retry_failed(services.pool, services.publisher, services.settings, campaign_id, order)
    except PublishFailed:
        raise _kafka_is_away("some messages may be sent again and some not. Repeat it: nothing is sent twice") from None
    log.info("failed messages are sent again", campaign_id=str(campaign_id), recipients=result.retried)
    return _to(campaign_id, "retried")


def _kafka_is_away(meaning: str) -> Problem:
    return Problem(ProblemCode.UNAVAILABLE, f"Kafka did not acknowledge every retry, so {meaning}.")
