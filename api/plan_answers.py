"""The bodies of answers about plans and costs, as pydantic models."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from api.given import Given
from domain.lifecycle import CampaignStatus
from domain.rate_card import RateCategory
from domain.sending_plan import PlanLimit


class PlannedDayOut(Given):
    """The recipients of one day."""

    day: date
    """The day, in the time zone of the campaign."""
    recipients: int
    """Those who will be sent to on it."""


class PlanSampleOut(Given):
    """Whether the first recipients will be skipped."""

    examined: int
    """Recipients that were examined: the first 500 without an attempt."""
    opted_out: int
    """Those of them who have unsubscribed."""
    same_person: int
    """Those of them who repeat a person of the campaign."""
    invalid: int
    """Those of them of whose parameters no message can be made."""
    excluded: int
    """Those of them that `exclude_campaigns` leaves out."""
    capped: int
    """Those of them above the frequency cap now. They wait for it, or are skipped."""
    skipped: int
    """Those of them who would be skipped now, each counted once."""


class MarketCostOut(Given):
    """The cost of the recipients of one market."""

    market: str
    """The name of the market on the rate card."""
    recipients: int
    """Recipients in its countries."""
    rate: str
    """The rate of one message."""
    cost: str
    """The cost of all of them."""


class CostOut(Given):
    """The cost if every recipient gets one message outside a service window."""

    as_of: date
    """The date of the rate card."""
    currency: str
    """The currency of the card."""
    source: str
    """Where the rates come from."""
    category: RateCategory
    """The category of the template."""
    is_category_known: bool
    """false: the template could not be read, so it is taken for a marketing template, the most expensive category."""
    total: str
    """The sum over the markets, without recipients whose rate is not known."""
    markets: list[MarketCostOut]
    """Each market, the most expensive first."""
    without_rate: dict[str, int]
    """Recipients of countries without a rate, by ISO code. `unknown` counts those whose number shows no country."""


class PlanOut(Given):
    """How a campaign will proceed, if no other campaign sends and nothing fails."""

    campaign_id: UUID
    """The campaign."""
    status: CampaignStatus
    """Its state. A draft is planned as if it were activated now."""
    as_of: datetime
    """The time of the answer."""
    total: int
    """All recipients."""
    to_send: int
    """Recipients without a first message."""
    expected: int
    """Those of them who will get it: without those who would be skipped, by the share of the sample. The days and the
    end are of these. It is exact if the sample has all of them."""
    time_zone: str
    """The time zone of the days."""
    days: list[PlannedDayOut]
    """How many will be sent to on each day, for a year at most."""
    ends_at: datetime | None
    """When the last message leaves; null: not within a year, or the window makes no sense."""
    left: int
    """Recipients who will not be sent to within a year."""
    limits: list[PlanLimit]
    """What makes it take longer than its number needs."""
    per_s: float
    """Messages per second of the number."""
    sharing: int
    """Other active campaigns of the number. They share its pace, so the end may be later."""
    sample: PlanSampleOut
    """How many of the first recipients will be skipped."""
    cost: CostOut | None
    """The estimate of the cost of all recipients; null: there is no valid rate card."""
    cost_problem: str | None
    """Why there is no cost."""
