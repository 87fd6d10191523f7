"""The form that makes a draft of a campaign: its settings and, if wanted, its people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from api.bodies import CloneIn
from api.campaigns import create_once
from api.pages import reading
from api.pages.forms import UseForm, UseSession, once_key, once_of
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import page
from api.pages.session import PageSession
from api.services import Services, UseCampaignId, UseServices
from api.validation import field_errors, known_fields
from tables import drafts
from tables.drafts import CLONED_MAX, TooManyToClone

NAME_SHOWN = 190
"""So many characters of a name leave room for what the clone adds."""

router = APIRouter(include_in_schema=False)


@router.get(CAMPAIGNS + "/{campaign_id}/clone")
async def show_clone(campaign_id: UseCampaignId, services: UseServices, session: UseSession) -> Response:
    """Show the form, with a name for the draft."""
    return await _form_page(services, session, campaign_id, {}, "")


@router.post(CAMPAIGNS + "/{campaign_id}/clone")
async def clone(campaign_id: UseCampaignId, form: UseForm, services: UseServices, session: UseSession) -> Response:
    """Create the draft, once however often the form is sent."""
    values = {"name": form.text("name"), "recipients": form.text("recipients"), "once": form.text("once")}
    try:
        wanted = CloneIn.model_validate({"name": values["name"], "recipients": values["recipients"] == "1"})
    except ValidationError as invalid:
        [first, *_] = field_errors(invalid.errors(), known_fields(CloneIn))
        return await _form_page(services, session, campaign_id, values, first["message"])
    try:
        async with services.pool.connection() as connection:
            answer = await create_once(
                once_of(form, connection, (campaign_id, wanted)),
                lambda found: drafts.clone(found, campaign_id, wanted.name, with_recipients=wanted.recipients),
                "campaign cloned",
                source=str(campaign_id),
            )
    except TooManyToClone as refused:
        return await _form_page(services, session, campaign_id, values, f"Nothing was created: {refused}.")
    created = json.loads(bytes(answer.body))["id"]
    return RedirectResponse(f"{CAMPAIGNS}/{created}?done=cloned", 303)


async def _form_page(
    services: Services, session: PageSession, campaign_id: UUID, values: Mapping[str, str], error: str
) -> Response:
    async with services.lists.connection() as connection:
        known = await reading.read_campaign(connection, services.board, campaign_id)
    view = known.view()
    return page(
        "clone.html",
        session=session,
        status=422 if error else 200,
        view=view,
        name=values.get("name", f"{view.campaign.name[:NAME_SHOWN]} (copy)"),
        with_people=bool(values.get("recipients")),
        can_copy=view.stats.total_target <= CLONED_MAX,
        copied_max=CLONED_MAX,
        error=error,
        once=once_key(values),
    )
