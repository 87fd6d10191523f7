"""The plan of a campaign before anything is sent: how many on each day, until when, and at what cost."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.plan_answers import CostOut, MarketCostOut, PlannedDayOut, PlanOut, PlanSampleOut
from api.services import UseCampaignId, UseServices
from domain.rate_card import CostEstimate, RateCategory, estimate_cost
from runtime.rate_card import RateCardUnreadable, load_rate_card
from runtime.settings import Settings
from runtime.settings_rules import MARKETING_ENDPOINT
from runtime.template_reader import TemplateReader, TemplatesUnreadable
from tables import campaigns, plans
from tables.campaigns import Campaign
from tables.database import Connecting
from tables.plans import CampaignPlan
from tables.releases import Rates

router = APIRouter(prefix="/api/marketing/campaigns", tags=["campaigns"])

Category = Annotated[
    RateCategory | None,
    Query(description="The category of the template. Without it the category that the template has is used."),
]


@router.get("/{campaign_id}/plan")
async def plan_campaign(campaign_id: UseCampaignId, services: UseServices, category: Category = None) -> PlanOut:
    """Plan a campaign: how many recipients are sent to on each day, until when, and what it costs at most.

    A draft is planned as if it were activated now. Nothing is changed.
    """
    return await plan_of(services.lists.connection, services.settings, services.templates, campaign_id, category)


async def plan_of(
    connecting: Connecting,
    settings: Settings,
    templates: TemplateReader,
    campaign_id: UUID,
    category: RateCategory | None = None,
) -> PlanOut:
    """The plan as the API answers it. No connection is held while Meta is read. Raises UnknownCampaign."""
    async with connecting() as connection:
        campaign = await campaigns.read(connection, campaign_id)
    known = category or await category_of(settings, templates, campaign)
    async with connecting() as connection:
        plan = await plans.read(connection, campaign, Rates.of(settings), settings.time_scale)
    cost, problem = None, None
    try:
        card = await asyncio.to_thread(load_rate_card, settings)
        estimate = estimate_cost(card, plan.prefixes, known or RateCategory.MARKETING)
        cost = _cost(estimate, is_category_known=known is not None)
    except RateCardUnreadable as why:
        problem = str(why)
    return _answer(plan, cost, problem)


async def category_of(settings: Settings, templates: TemplateReader, campaign: Campaign) -> RateCategory | None:
    """The category of the template; None if Meta does not show it now."""
    if (campaign.endpoint or settings.whatsapp_endpoint) == MARKETING_ENDPOINT:
        return RateCategory.MARKETING
    try:
        found = await templates.read_named(campaign.template_name)
    except TemplatesUnreadable:
        return None
    words = {each.category.lower() for each in found if each.language == campaign.language_code}
    return next((each for each in RateCategory if each.value in words), None)


def _answer(found: CampaignPlan, cost: CostOut | None, problem: str | None) -> PlanOut:
    plan = found.plan
    return PlanOut(
        campaign_id=found.campaign.id,
        status=found.campaign.status,
        as_of=found.as_of,
        total=found.total,
        to_send=found.to_send,
        expected=found.expected,
        time_zone=found.campaign.time_zone,
        days=[] if plan is None else [PlannedDayOut.model_validate(each) for each in plan.days],
        ends_at=None if plan is None else plan.ends_at,
        left=found.expected if plan is None else plan.left,
        limits=[] if plan is None else list(plan.limits),
        per_s=found.per_s,
        sharing=found.sharing,
        sample=PlanSampleOut.model_validate(found.sample),
        cost=cost,
        cost_problem=problem,
    )


def _cost(estimate: CostEstimate, *, is_category_known: bool) -> CostOut:
    return CostOut(
        as_of=estimate.as_of,
        currency=estimate.currency,
        source=estimate.source,
        category=estimate.category,
        is_category_known=is_category_known,
        total=str(estimate.total),
        markets=[
            MarketCostOut(market=each.market, recipients=each.recipients, rate=str(each.rate), cost=str(each.cost))
            for each in estimate.markets
        ],
        without_rate=dict(estimate.without_rate),
    )
