"""Routes of message templates: list them, fill one as a person would read it, and compare a campaign with its own."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query

from api.bodies import PreviewIn
from api.field_types import LanguageCode, MetaWord, TemplateName
from api.problem_codes import ProblemCode
from api.problems import RETRY_AFTER_S, Problem
from api.recipients import UsePhoneNumber, person_of_number
from api.routes import json_router
from api.services import Services, UseCampaignId, UseServices
from api.template_answers import FilledTemplateOut, PreviewOut, TemplateCheckOut, TemplateOut, TemplatesOut
from api.template_checks import check_template
from domain.parameter_texts import InvalidTemplateParameters
from domain.parameters import parse
from domain.template_fit import misfits_of
from domain.template_preview import preview
from domain.template_slots import slots_of
from domain.templates import MessageTemplate
from runtime.template_reader import TemplatesUnreadable
from tables import campaigns, template_checks

router = json_router("/api/marketing/templates", "templates")
of_campaigns = json_router("/api/marketing/campaigns/{campaign_id}/template", "templates")
ReadNow = Annotated[bool, Query(description="Read the templates now, not those of the last minute")]


@router.get("")
async def list_templates(
    services: UseServices,
    name: Annotated[TemplateName | None, Query(description="A part of the name")] = None,
    language: Annotated[LanguageCode | None, Query(description="The language, as en_US")] = None,
    status: Annotated[MetaWord | None, Query(description="Meta's word, such as APPROVED")] = None,
    category: Annotated[MetaWord | None, Query(description="Meta's word, such as MARKETING")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Most templates of the page")] = 100,
    after: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_]{1,512}/[A-Za-z_]{1,16}$", description="`next` of the previous page")
    ] = None,
    fresh: ReadNow = False,
) -> TemplatesOut:
    """List the message templates of the account, with their status, category and quality, as Meta has them."""
    try:
        known = await services.templates.read_all(fresh=fresh)
    except TemplatesUnreadable as why:
        raise unreadable(why) from None
    wanted = {"language": language, "status": status and status.upper(), "category": category and category.upper()}
    found = sorted(
        (each for each in known if (name or "") in each.name and has(each, wanted) and _key(each) > (after or "")),
        key=_key,
    )
    page = found[:limit]
    return TemplatesOut(
        templates=[template_out(each) for each in page], next=_key(page[-1]) if len(found) > limit else None
    )


@router.post("/{template_name}/preview")
async def preview_template(
    template_name: Annotated[TemplateName, Path(description="The name of the template")],
    body: PreviewIn,
    services: UseServices,
    fresh: ReadNow = False,
) -> FilledTemplateOut:
    """Fill a template with the parameters of the request, as a person would read it. Nothing is sent."""
    template = await read_template(services, template_name, body.language_code, fresh=fresh)
    return filled(template, body.template_parameters)


@of_campaigns.get("/preview")
async def preview_campaign(
    campaign_id: UseCampaignId,
    services: UseServices,
    recipient_id: Annotated[UUID | None, Query(description="The recipient; else the first of the campaign")] = None,
    phone_number: UsePhoneNumber = None,
    fresh: ReadNow = False,
) -> FilledTemplateOut:
    """Fill the template of a campaign with the parameters of one recipient, as that person would read it."""
    async with services.lists.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
        person = None if phone_number is None else person_of_number(phone_number, campaign.country)
        found = await template_checks.read_one(connection, campaign_id, recipient_id, person)
    if found is None:
        raise Problem(ProblemCode.UNKNOWN_RECIPIENT)
    template = await read_template(services, campaign.template_name, campaign.language_code, fresh=fresh)
    return filled(template, found.template_parameters, found.id)


@of_campaigns.get("/check")
async def check_campaign(campaign_id: UseCampaignId, services: UseServices, fresh: ReadNow = False) -> TemplateCheckOut:
    """Compare a campaign and the parameters of its recipients with the template. Nothing is changed."""
    async with services.lists.connection() as connection:
        campaign = await campaigns.read(connection, campaign_id)
    check = await check_template(
        services.lists.connection, services.settings, services.templates, campaign, fresh=fresh
    )
    return TemplateCheckOut.model_validate(check)


def unreadable(why: TemplatesUnreadable) -> Problem:
    """The problem of templates that cannot be read now."""
    return Problem(ProblemCode.TEMPLATE_UNREADABLE, str(why), headers={"Retry-After": str(RETRY_AFTER_S)})


async def read_template(services: Services, name: str, language: str, *, fresh: bool) -> MessageTemplate:
    """The template in this language. Raises Problem if it cannot be read, or does not exist."""
    try:
        found = await services.templates.read_named(name, fresh=fresh)
    except TemplatesUnreadable as why:
        raise unreadable(why) from None
    template = next((each for each in found if each.language == language), None)
    if template is None:
        raise Problem(ProblemCode.UNKNOWN_TEMPLATE)
    return template


def filled(template: MessageTemplate, given: Any, recipient_id: UUID | None = None) -> FilledTemplateOut:
    """A template with parameters. Those that nothing can read leave the variables as they are."""
    try:
        parameters = parse(given)
    except InvalidTemplateParameters:
        parameters = None
    shown = preview(template, parameters)
    return FilledTemplateOut(
        template=template_out(template),
        preview=PreviewOut.model_validate(shown),
        lines=shown.lines,
        misfits=misfits_of(template, given),
        recipient_id=recipient_id,
    )


def template_out(template: MessageTemplate) -> TemplateOut:
    """A template with the names of its parameters."""
    fields = {name: getattr(template, name) for name in TemplateOut.model_fields if name != "parameters"}
    return TemplateOut.model_validate({**fields, "parameters": list(slots_of(template))})


def has(template: MessageTemplate, wanted: dict[str, str | None]) -> bool:
    """Whether a template has these values. None is any value."""
    return all(value is None or getattr(template, name) == value for name, value in wanted.items())


def _key(template: MessageTemplate) -> str:
    """Where a template stands in the list."""
    return f"{template.name}/{template.language}"
