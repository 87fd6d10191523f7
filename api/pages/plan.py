"""The plan of a campaign as a part of its page. The page loads it by itself, so that nothing waits for it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.pages.paths import CAMPAIGNS
from api.pages.rendering import HEADERS, html
from api.plans import plan_of
from api.services import UseCampaignId, UseServices

DAYS_SHOWN = 14

router = APIRouter(include_in_schema=False)


@router.get(CAMPAIGNS + "/{campaign_id}/plan")
async def show_plan(campaign_id: UseCampaignId, services: UseServices) -> HTMLResponse:
    """Show when the recipients will be sent to, and the cost."""
    plan = await plan_of(services.lists.connection, services.settings, services.templates, campaign_id)
    return HTMLResponse(html("plan.html", plan=plan, days=plan.days[:DAYS_SHOWN]), headers=HEADERS)
