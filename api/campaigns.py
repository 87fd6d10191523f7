"""Routes of campaigns: create them, read them, and change their state."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Query
from fastapi.responses import JSONResponse

from api.answers import CampaignOut, CampaignsOut, ResumedOut, RetriedOut
from api.bodies import CampaignIn, PauseIn, ResumeIn
from api.failed import retry_before_resume
from api.idempotency import UseOnce
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import UseCampaignId, UseConnection, UseListConnection, UseServices, UseStopConnection
from domain.lifecycle import Action
from schemas.model import CampaignId
from schemas.stats import CampaignStats
from tables import campaigns, stats
from tables.campaigns import NewCampaign, UnknownCampaign
from tables.database import Connection
from topics.publisher import PublishFailed

router = json_router("/api/marketing/campaigns", "campaigns")
log = structlog.get_logger("api")
RETRY_AFTER_S = 5
LOGGED = {
    Action.ACTIVATE: "campaign activated",
    Action.PAUSE: "campaign paused",
    Action.RESUME: "campaign resumed",
    Action.CANCEL: "campaign cancelled",
}


@router.post("", status_code=201, response_model=CampaignOut)
async def create_campaign(body: CampaignIn, services: UseServices, once: UseOnce) -> JSONResponse:
    """Create a draft. Nothing is sent before it is activated."""
    number = body.phone_number_id or services.settings.whatsapp_phone_number_id
    if not number:
        detail = "phone_number_id is required, because no default number is set."
        raise Problem(ProblemCode.INVALID_FIELD, detail, field="phone_number_id")
    new = NewCampaign(**{**body.model_dump(), "phone_number_id": number})

    created: list[CampaignOut] = []

    async def create(connection: Connection) -> CampaignOut:
        created.append(CampaignOut.model_validate(await campaigns.create(connection, new)))
        return created[-1]

    answer = await once.do(201, create)
    if created:  # a repeated request gets the answer of the first
        log.info("campaign created", campaign=str(created[-1].id))
    return answer


@router.get("")
async def list_campaigns(
    connection: UseListConnection,
    limit: Annotated[int, Query(ge=1, le=500, description="Most campaigns of the page")] = 50,
    before: Annotated[UUID | None, Query(description="`next` of the previous page")] = None,
) -> CampaignsOut:
    """List campaigns, the newest first."""
    found = await campaigns.newest(connection, limit + 1, before)
    page = [CampaignOut.model_validate(each) for each in found[:limit]]
    return CampaignsOut(campaigns=page, next=page[-1].id if len(found) > limit else None)


@router.get("/{campaign_id}")
async def read_campaign(campaign_id: UseCampaignId, connection: UseListConnection) -> CampaignOut:
    """Read one campaign."""
    return CampaignOut.model_validate(await campaigns.read(connection, campaign_id))


@router.post("/{campaign_id}/activate")
async def activate_campaign(campaign_id: UseCampaignId, connection: UseConnection) -> CampaignOut:
    """Plan all recipients over the days, and start sending."""
    return await _act(campaign_id, Action.ACTIVATE, connection)


@router.post("/{campaign_id}/pause")
async def pause_campaign(
    campaign_id: UseCampaignId, connection: UseStopConnection, body: PauseIn | None = None
) -> CampaignOut:
    """Stop sending within two seconds. Messages that were not sent wait for the resume."""
    reason = (body or PauseIn()).reason
    return await _act(campaign_id, Action.PAUSE, connection, reason)


@router.post("/{campaign_id}/resume")
async def resume_campaign(
    campaign_id: UseCampaignId, connection: UseConnection, services: UseServices, body: ResumeIn | None = None
) -> ResumedOut:
    """Continue after a pause.

    With `retry_failed`, messages that surely were not delivered are sent again, unless the reason is the person's. If
    that fails, the campaign stays paused, and the call may be repeated.
    """
    retried = None
    if body is not None and body.retry_failed:
        try:
            result = await retry_before_resume(connection, services.publisher, services.settings, campaign_id)
        except PublishFailed:
            detail = "Kafka did not acknowledge every retry, so the campaign stays paused. Repeat the call."
            raise Problem(ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from None
        retried = RetriedOut.model_validate(result)
    resumed = await _act(campaign_id, Action.RESUME, connection)
    return ResumedOut(**resumed.model_dump(), retried=retried)


@router.post("/{campaign_id}/cancel")
async def cancel_campaign(campaign_id: UseCampaignId, connection: UseStopConnection) -> CampaignOut:
    """Stop forever. Waiting recipients are skipped; sent messages keep their statuses."""
    return await _act(campaign_id, Action.CANCEL, connection)


@router.get("/{campaign_id}/stats", tags=["stats"])
async def read_stats(campaign_id: UseCampaignId, connection: UseListConnection) -> CampaignStats:
    """Read the exact funnel at this moment."""
    found = (await stats.read(connection, [CampaignId(campaign_id)])).get(CampaignId(campaign_id))
    if found is None:
        raise UnknownCampaign
    return found


async def _act(
    campaign_id: UUID,
    action: Action,
    connection: Connection,
    reason: str = campaigns.PAUSED_BY_OPERATOR,
) -> CampaignOut:
    done = await campaigns.act(connection, campaign_id, action, reason)
    log.info(LOGGED[action], campaign=str(campaign_id), status=done.status)
    return CampaignOut.model_validate(done)
