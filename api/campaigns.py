"""Routes of campaigns: create, edit, clone and delete them, read them, and change their state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Query
from fastapi.responses import JSONResponse

from api.answers import CampaignOut, CampaignsOut, ExplanationOut, RetriedOut
from api.bodies import CampaignIn, CampaignPatch, CloneIn, PauseIn, ResumeIn
from api.failed import retry_before_resume
from api.idempotency import Once, UseOnce
from api.new_campaigns import UnknownNumber, chosen_number, new_campaign
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import Services, UseCampaignId, UseConnection, UseListConnection, UseServices, UseStopConnection
from api.template_answers import ActivatedOut, ResumedOut, TemplateCheckOut
from api.template_checks import require_template
from domain.lifecycle import Action
from runtime.settings_rules import has_simulator
from schemas.model import CampaignId
from schemas.stats import CampaignProgress
from tables import campaigns, drafts, editing, explanations, stats
from tables.campaigns import Campaign, UnknownCampaign
from tables.database import Connection
from tables.exclusions import find_excluded
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


IgnoreTemplate = Annotated[
    bool, Query(description="Act although the template check refuses it. Meta refuses what does not fit")
]


@router.post("", status_code=201, response_model=CampaignOut)
async def create_campaign(body: CampaignIn, services: UseServices, once: UseOnce) -> JSONResponse:
    """Create a draft. Nothing is sent before it is activated."""
    number = number_of(body.phone_number_id, services)

    async def create(connection: Connection) -> Campaign:
        excluded = await find_excluded(connection, body.exclude_campaigns)
        new = new_campaign(body, number, by_day=not has_simulator(services.settings), excluded=excluded)
        return await campaigns.create(connection, new)

    return await create_once(once, create, "campaign created")


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


@router.patch("/{campaign_id}")
async def edit_campaign(
    campaign_id: UseCampaignId, body: CampaignPatch, connection: UseConnection, services: UseServices
) -> CampaignOut:
    """Change settings: all of a draft, and of a later campaign those that change no message.

    A new `daily_send_limit`, window or start time holds at once. With a new limit or start time, recipients that are
    not released are planned again, in the background if they are many (`planning`).
    """
    return CampaignOut.model_validate(await change_settings(connection, services, campaign_id, body))


@router.delete("/{campaign_id}", status_code=204)
async def delete_campaign(campaign_id: UseCampaignId, connection: UseConnection) -> None:
    """Delete a draft with its recipients. A campaign that was activated stays on record: cancel it instead."""
    await drafts.delete(connection, campaign_id)
    log.info("campaign deleted", campaign_id=str(campaign_id))


@router.post("/{campaign_id}/clone", status_code=201, response_model=CampaignOut)
async def clone_campaign(campaign_id: UseCampaignId, once: UseOnce, body: CloneIn | None = None) -> JSONResponse:
    """Create a draft with the settings of a campaign in any state and, if wanted, its recipients."""
    wanted = body or CloneIn()

    async def clone(connection: Connection) -> Campaign:
        return await drafts.clone(connection, campaign_id, wanted.name, with_recipients=wanted.recipients)

    return await create_once(once, clone, "campaign cloned", source=str(campaign_id))


@router.post("/{campaign_id}/activate")
async def activate_campaign(
    campaign_id: UseCampaignId, services: UseServices, ignore_template: IgnoreTemplate = False
) -> ActivatedOut:
    """Plan all recipients over the days, and start sending.

    The template is compared with the parameters of the recipients before. What Meta would refuse refuses the
    activation, unless the request has `ignore_template`. A template that cannot be read refuses nothing.
    """
    check = None
    if not ignore_template:
        check = await require_template(services.pool.connection, services.settings, services.templates, campaign_id)
    async with services.pool.connection() as connection:
        activated = await act_on(campaign_id, Action.ACTIVATE, connection)
    found = None if check is None else TemplateCheckOut.model_validate(check)
    return ActivatedOut(**activated.model_dump(), template_check=found)


@router.post("/{campaign_id}/pause")
async def pause_campaign(
    campaign_id: UseCampaignId, connection: UseStopConnection, body: PauseIn | None = None
) -> CampaignOut:
    """Stop sending within two seconds. Messages that were not sent wait for the resume."""
    reason = (body or PauseIn()).reason
    return await act_on(campaign_id, Action.PAUSE, connection, reason)


@router.post("/{campaign_id}/resume")
async def resume_campaign(
    campaign_id: UseCampaignId,
    services: UseServices,
    body: ResumeIn | None = None,
    ignore_template: IgnoreTemplate = False,
) -> ResumedOut:
    """Continue after a pause.

    The template as it is now is compared before with the recipients that may still get a message. What Meta would
    refuse refuses the resume, unless the request has `ignore_template`. A template that cannot be read refuses nothing.

    With `retry_failed`, messages that surely were not delivered are sent again, unless the reason is the person's. If
    that fails, the campaign stays paused, and the call may be repeated.
    """
    retries = body is not None and body.retry_failed
    try:
        return await resume(services, campaign_id, retry_failed=retries, ignore_template=ignore_template)
    except PublishFailed:
        detail = "Kafka did not acknowledge every retry, so the campaign stays paused. Repeat the call."
        raise Problem(ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from None


@router.post("/{campaign_id}/cancel")
async def cancel_campaign(campaign_id: UseCampaignId, connection: UseStopConnection) -> CampaignOut:
    """Stop forever. Waiting recipients are skipped; sent messages keep their statuses."""
    return await act_on(campaign_id, Action.CANCEL, connection)


@router.get("/{campaign_id}/explain", tags=["stats"])
async def explain_campaign(
    campaign_id: UseCampaignId, connection: UseListConnection, services: UseServices
) -> ExplanationOut:
    """Explain why recipients have no message yet: each of them for exactly one reason, with the time of a change."""
    settings = services.settings
    found = await explanations.read(connection, campaign_id, settings.time_scale, settings.whatsapp_pair_s)
    return ExplanationOut.model_validate(found)


@router.get("/{campaign_id}/stats", tags=["stats"])
async def read_stats(campaign_id: UseCampaignId, connection: UseListConnection) -> CampaignProgress:
    """Read the exact funnel at this moment, and when the rest will be handled at the present rate."""
    found = (await stats.read(connection, [CampaignId(campaign_id)])).get(CampaignId(campaign_id))
    if found is None:
        raise UnknownCampaign
    return found


async def resume(
    services: Services, campaign_id: UUID, *, retry_failed: bool, ignore_template: bool = False
) -> ResumedOut:
    """Compare the template, send again what can be if `retry_failed` says so, and continue.

    Raises TemplateRefused, PublishFailed, and what `act_on` raises. The campaign stays paused then.
    """
    check, retried = None, None
    if not ignore_template:
        check = await require_template(
            services.pool.connection,
            services.settings,
            services.templates,
            campaign_id,
            Action.RESUME,
            failed_too=retry_failed,
        )
    async with services.pool.connection() as connection:
        if retry_failed:
            result = await retry_before_resume(connection, services.publisher, services.settings, campaign_id)
            retried = RetriedOut.model_validate(result)
        resumed = await act_on(campaign_id, Action.RESUME, connection)
    found = None if check is None else TemplateCheckOut.model_validate(check)
    return ResumedOut(**resumed.model_dump(), retried=retried, template_check=found)


async def change_settings(
    connection: Connection, services: Services, campaign_id: UUID, body: CampaignPatch
) -> Campaign:
    """Change the settings that a body names, and log it. Raises Problem and what `tables.editing.edit` raises."""
    changes = body.model_dump(exclude_unset=True)
    if "phone_number_id" in changes:
        changes["phone_number_id"] = number_of(changes["phone_number_id"], services)
    if "exclude_campaigns" in changes:
        changes["exclude_campaigns"] = await find_excluded(connection, changes["exclude_campaigns"])
    edited = await editing.edit(connection, campaign_id, changes)
    log.info("campaign edited", campaign_id=str(campaign_id), settings=sorted(changes))
    return edited


def number_of(given: str | None, services: Services) -> str:
    """The number that sends: the given one, or that of the settings. Raises Problem without or for an unknown one."""
    try:
        return chosen_number(services.settings, given)
    except UnknownNumber as error:
        raise Problem(ProblemCode.INVALID_FIELD, str(error), field="phone_number_id") from None


async def create_once(
    once: Once, make: Callable[[Connection], Awaitable[Campaign]], event: str, **logged: str
) -> JSONResponse:
    """Answer with the created campaign, once per key, and log it."""
    created: list[CampaignOut] = []

    async def create(connection: Connection) -> CampaignOut:
        created.append(CampaignOut.model_validate(await make(connection)))
        return created[-1]

    answer = await once.do(201, create)
    if created:  # a repeated request gets the answer of the first
        log.info(event, campaign_id=str(created[-1].id), **logged)
    return answer


async def act_on(
    campaign_id: UUID,
    action: Action,
    connection: Connection,
    reason: str = campaigns.PAUSED_BY_OPERATOR,
) -> CampaignOut:
    """Change the state, and log it. Raises what `tables.campaigns.act` raises."""
    done = await campaigns.act(connection, campaign_id, action, reason)
    log.info(LOGGED[action], campaign_id=str(campaign_id), status=done.status)
    return CampaignOut.model_validate(done)
