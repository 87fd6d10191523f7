"""The cost of a campaign so far, as a part of its page. The page loads it by itself, so that nothing waits for it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from api.costs import cost_of
from api.pages.paths import CAMPAIGNS
from api.pages.rendering import HEADERS, html
from api.services import UseCampaignId, UseServices
from domain.prices import Charge

CHARGE_WORDS = {
    Charge.BILLABLE: "billed",
    Charge.FREE: "free",
    Charge.FREE_CUSTOMER_SERVICE: "free: the person wrote in the 24 hours before",
    Charge.FREE_ENTRY_POINT: "free: the person came from an advertisement",
}
"""A charge in words."""

router = APIRouter(include_in_schema=False)


@router.get(CAMPAIGNS + "/{campaign_id}/cost")
async def show_cost(campaign_id: UseCampaignId, services: UseServices) -> HTMLResponse:
    """Show the delivered messages by category, and their cost."""
    cost = await cost_of(services.lists.connection, services.settings, campaign_id)
    return HTMLResponse(html("cost.html", cost=cost, words=CHARGE_WORDS), headers=HEADERS)
