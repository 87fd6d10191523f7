"""The bodies of answers about the cost of a campaign, as pydantic models."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from api.given import Given
from domain.prices import Charge


class CategoryCostOut(Given):
    """The delivered messages of one category that are charged alike."""

    category: str
    """WhatsApp's word, such as marketing, utility, authentication or service; `other`: one that is not documented."""
    charge: Charge
    """billable, or why it is free."""
    messages: int
    """Delivered messages."""
    cost: str
    """The cost of those whose rate is known; 0 for free ones."""
    without_rate: dict[str, int]
    """Billable messages by the ISO code of the country, if the card has no rate. `unknown`: the number shows none."""


class CampaignCostOut(Given):
    """What the delivered messages of a campaign cost so far, by WhatsApp's prices and the rate card."""

    campaign_id: UUID
    """The campaign."""
    as_of: datetime
    """The time of the answer."""
    version: int
    """The version of the campaign's stats. Newer changes may be included already."""
    delivered: int
    """Delivered messages: Meta charges for a message when it is delivered."""
    without_price: int
    """Delivered messages for which WhatsApp has stated no price yet. They are not in the total."""
    without_rate: int
    """Billable messages for which the card has no rate. They are not in the total."""
    categories: list[CategoryCostOut]
    """Billable messages first, then free ones; the most messages first."""
    rates_as_of: date | None
    """The date of the rate card; null: there is no valid card."""
    currency: str | None
    """The currency of the card."""
    source: str | None
    """Where the rates come from."""
    total: str | None
    """The cost of all messages whose rate is known; null: there is no valid rate card."""
    cost_problem: str | None
    """Why there is no total."""
