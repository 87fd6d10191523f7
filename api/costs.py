"""The cost of a campaign so far: its delivered messages by WhatsApp's category and charge, and the rate card."""

from __future__ import annotations

import asyncio
from uuid import UUID

from fastapi import APIRouter

from api.cost_answers import CampaignCostOut, CategoryCostOut
from api.services import UseCampaignId, UseServices
from domain.charges import campaign_cost
from domain.rate_card import RateCard
from runtime.rate_card import RateCardUnreadable, load_rate_card
from runtime.settings import Settings
from tables import costs
from tables.database import Connecting

router = APIRouter(prefix="/api/marketing/campaigns", tags=["campaigns"])


@router.get("/{campaign_id}/cost")
async def read_cost(campaign_id: UseCampaignId, services: UseServices) -> CampaignCostOut:
    """Read what the delivered messages of a campaign cost so far, by category.

    WhatsApp reports the category of each message and whether it is billed. The rates are those of the rate card.
    """
    return await cost_of(services.lists.connection, services.settings, campaign_id)


async def cost_of(connecting: Connecting, settings: Settings, campaign_id: UUID) -> CampaignCostOut:
    """The cost as the API answers it. Raises UnknownCampaign."""
    async with connecting() as connection:
        found = await costs.read_prices(connection, campaign_id)
    card, problem = None, None
    try:
        card = await asyncio.to_thread(load_rate_card, settings)
    except RateCardUnreadable as why:
        problem = str(why)
    return _answer(campaign_id, found, card, problem)


def _answer(
    campaign_id: UUID, found: costs.PriceCounters, card: RateCard | None, problem: str | None
) -> CampaignCostOut:
    cost = campaign_cost(card, found.counters)
    return CampaignCostOut(
        campaign_id=campaign_id,
        as_of=found.as_of,
        version=found.version,
        delivered=cost.delivered,
        without_price=cost.without_price,
        without_rate=cost.without_rate,
        categories=[
            CategoryCostOut(
                category=each.category,
                charge=each.charge,
                messages=each.messages,
                cost=str(each.cost),
                without_rate=dict(each.without_rate),
            )
            for each in cost.categories
        ],
        rates_as_of=None if card is None else card.as_of,
        currency=None if card is None else card.currency,
        source=None if card is None else card.source,
        total=None if card is None else str(cost.total),
        cost_problem=problem,
    )
