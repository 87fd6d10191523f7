"""The forms of the page that create a campaign and change its settings, by the rules of the REST API."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ValidationError

from api.bodies import CampaignIn, CampaignPatch
from api.campaigns import change_settings, create_once, number_of
from api.new_campaigns import new_campaign
from api.pages.forms import Form, UseForm, UseSession, once_key, once_of
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import page
from api.pages.session import PageSession
from api.pages.setting_fields import DAY_WORDS, FIELDS, sections_with, texts_in, texts_of, value_of
from api.problems import Problem
from api.services import Services, UseCampaignId, UseServices
from api.validation import model_errors
from domain.editing import EDITABLE, SETTINGS
from domain.exclusions import InvalidExclusion
from domain.windows import ALL_DAY, DAYTIME, InvalidWindow
from runtime.settings_rules import has_simulator
from tables import campaigns
from tables.campaigns import Campaign, NewCampaign
from tables.exclusions import find_excluded

NEW = f"{CAMPAIGNS}/new"
USUAL = NewCampaign("", "", "", None, "", "UTC")

router = APIRouter(include_in_schema=False)
log = structlog.get_logger("api")


@router.get(NEW)
async def show_new(services: UseServices, session: UseSession) -> Response:
    """Show the form of a new campaign, with the usual settings."""
    opens, closes = ALL_DAY if has_simulator(services.settings) else DAYTIME
    usual = {**texts_of(USUAL), "window_from": opens, "window_to": closes}
    return _shown(services, session, usual, {})


@router.post(NEW)
async def create(form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Create a draft, once however often the form is sent. The next step is to add people."""
    texts = texts_in(form.fields)
    given = {name: value_of(name, text) for name, text in texts.items() if text or name != "time_zone"}
    try:
        body = CampaignIn.model_validate({"name": "", "template_name": "", "language_code": "", **given})
        number = number_of(body.phone_number_id, services)
        async with services.pool.connection() as connection:
            excluded = await find_excluded(connection, body.exclude_campaigns)
            new = new_campaign(body, number, by_day=not has_simulator(services.settings), excluded=excluded)
            once = once_of(form, connection, new)
            answer = await create_once(once, lambda found: campaigns.create(found, new), "campaign created")
    except (ValidationError, Problem, InvalidWindow, InvalidExclusion) as refused:
        return _shown(services, session, {**texts, "once": form.text("once")}, _errors(refused, CampaignIn))
    created = json.loads(bytes(answer.body))["id"]
    return RedirectResponse(f"{CAMPAIGNS}/{created}/add", 303)


@router.get(CAMPAIGNS + "/{campaign_id}/edit")
async def show_edit(campaign_id: UseCampaignId, services: UseServices, session: UseSession) -> Response:
    """Show the settings of a campaign. Those that its state fixes cannot be changed."""
    known = await _read(services, campaign_id)
    texts = texts_of(known)
    return _shown(services, session, texts, {}, known, was=json.dumps(texts))


@router.post(CAMPAIGNS + "/{campaign_id}/edit")
async def edit(campaign_id: UseCampaignId, form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Change what the person has changed. A setting that somebody else has changed meanwhile is left alone."""
    was, texts = _was(form), texts_in(form.fields)
    changed = {name: value_of(name, text) for name, text in texts.items() if text != was.get(name)}
    if changed:
        try:
            body = CampaignPatch.model_validate(changed)
            async with services.pool.connection() as connection:
                await change_settings(connection, services, campaign_id, body)
        except (ValidationError, Problem, InvalidWindow, InvalidExclusion) as refused:
            known = await _read(services, campaign_id)
            errors = _errors(refused, CampaignPatch)
            return _shown(services, session, {**texts_of(known), **texts}, errors, known, was=form.text("was"))
    return RedirectResponse(f"{CAMPAIGNS}/{campaign_id}?done=edited", 303)


async def _read(services: Services, campaign_id: UUID) -> Campaign:
    async with services.lists.connection() as connection:
        return await campaigns.read(connection, campaign_id)


def _was(form: Form) -> Mapping[str, Any]:
    """The texts that the form showed at first."""
    try:
        found = json.loads(form.text("was"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _errors(refused: Exception, model: type[BaseModel]) -> dict[str, str]:
    """What is wrong, by the field."""
    match refused:
        case ValidationError():
            return dict(model_errors(refused, model))
        case InvalidWindow():
            return {refused.field: str(refused)}
        case InvalidExclusion():
            return {"exclude_campaigns": str(refused)}
        case Problem():
            return {str(each["field"]): str(each["message"]) for each in refused.errors}
        case _:
            raise refused


def _shown(
    services: Services,
    session: PageSession,
    texts: Mapping[str, str],
    errors: Mapping[str, str],
    campaign: Campaign | None = None,
    *,
    was: str = "",
) -> Response:
    settings = services.settings
    numbers: Collection[str] = settings.known_numbers if settings.whatsapp_numbers else ()
    if numbers and campaign is not None:
        numbers = {*numbers, campaign.phone_number_id}
    default = settings.whatsapp_phone_number_id
    return page(
        "settings.html",
        session=session,
        status=422 if errors else 200,
        campaign=campaign,
        editable=SETTINGS if campaign is None else EDITABLE[campaign.status],
        sections=sections_with(sorted(numbers), default),
        texts={**dict.fromkeys(FIELDS, ""), **({"phone_number_id": default} if numbers else {}), **texts},
        day_words=DAY_WORDS,
        errors=errors,
        once=once_key(texts),
        was=was,
    )
