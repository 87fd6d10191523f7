"""The plan of a campaign from Postgres: counters, limits and a sample, at the same cost for any campaign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from domain.canary import Canary, CanarySize, begin
from domain.days import UnknownTimeZone, day_of
from domain.lifecycle import CampaignStatus
from domain.portfolio import lower_limit
from domain.sending_plan import PlanInput, SendingPlan, make_plan
from domain.shares import CampaignFigures
from domain.windows import WHOLE_DAY, InvalidWindow
from tables import campaigns, portfolio
from tables.campaigns import WINDOW_SETTINGS, Campaign
from tables.database import Connection
from tables.releases import Rates
from tables.statements import load

_SQL = load("plans")
SAMPLE = 500
"""So many recipients are examined for whether they will be skipped."""
_PREFIX = "prefix/"


@dataclass(frozen=True, slots=True)
class PlanSample:
    """The first recipients without an attempt, and how many of them the release would skip."""

    examined: int
    opted_out: int
    same_person: int
    invalid: int
    excluded: int
    """Recipients of other campaigns that are left out."""
    capped: int
    """Those above the frequency cap now. They wait for it, or are skipped."""
    skipped: int
    """All who would be skipped, each once."""

    def expected(self, waiting: int) -> int:
        """How many of these recipients will probably get a message. It is exact if all of them were examined."""
        return waiting - (waiting * self.skipped // self.examined if self.examined else 0)


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a campaign will do, as far as it is known now."""

    campaign: Campaign
    as_of: datetime
    total: int
    """All recipients."""
    to_send: int
    """Those who wait for their first message."""
    expected: int
    """Those of them who will get it, by the sample."""
    plan: SendingPlan | None
    """None: its window or time zone makes no sense."""
    per_s: float
    """Messages per second of the number."""
    sharing: int
    """Other active campaigns of the number, which share its pace."""
    sample: PlanSample
    prefixes: Mapping[str, int]
    """All recipients by prefix (`domain.dialling`)."""


async def read(connection: Connection, campaign: Campaign, rates: Rates, time_scale: float = 1.0) -> CampaignPlan:
    """Plan a campaign. `rates`: the limits of the settings. `time_scale` shortens the waits of a canary."""
    row = await (await connection.execute(_SQL["read_counts"], {"campaign": campaign.id})).fetchone()
    if row is None:
        raise campaigns.UnknownCampaign
    now, counters, used, sharing, *canary = row
    rates = rates.of_number(campaign.phone_number_id)
    given = PlanInput(
        now=now,
        recipients=counters.get("status/pending", 0),
        per_s=rates.mps,
        window=WHOLE_DAY,
        time_zone=campaign.time_zone,
        start_at=campaign.start_at,
        daily_limit=campaign.daily_send_limit,
        canary_wait_s=60.0 * campaign.canary_wait_minutes / time_scale,
    )
    sample = await _sample(connection, campaign)
    waiting, given = given.recipients, replace(given, recipients=sample.expected(given.recipients))
    given = _with_canary(given, campaign, canary[0], canary[1], canary[2] or 0)
    if rates.portfolio is not None:
        use = await portfolio.read(connection)
        budget = replace(rates.portfolio, people_max=lower_limit(rates.portfolio.people_max, use.reported))
        given = replace(given, budget=budget, counted=await portfolio.read_buckets(connection, budget, now))
    return CampaignPlan(
        campaign=campaign,
        as_of=now,
        total=counters.get("funnel/total", 0),
        to_send=waiting,
        expected=given.recipients,
        plan=_plan(given, campaign, used),
        per_s=rates.mps,
        sharing=sharing,
        sample=sample,
        prefixes={key.removeprefix(_PREFIX): n for key, n in counters.items() if key.startswith(_PREFIX)},
    )


def _plan(given: PlanInput, campaign: Campaign, used: Mapping[str, int]) -> SendingPlan | None:
    try:
        window = campaigns.window_of({name: getattr(campaign, name) for name in WINDOW_SETTINGS})
        today = day_of(given.now, campaign.time_zone).date.isoformat()
        return make_plan(replace(given, window=window, used_today=used.get(today, 0)))
    except (InvalidWindow, UnknownTimeZone):  # the scheduler pauses such a campaign
        return None


def _with_canary(
    given: PlanInput, campaign: Campaign, step: int | None, allowed: int | None, released: int
) -> PlanInput:
    """The present step of the canary, or the first one of a campaign that is not activated yet."""
    if not campaign.canary:
        return given
    size = CanarySize(campaign.canary_percent, campaign.canary_min, campaign.canary_max)
    canary = Canary(step or 0, allowed, released)
    if campaign.status is CampaignStatus.DRAFT:
        canary = begin(size, given.recipients, CampaignFigures())
    return replace(given, canary=canary.room, canary_people=canary.allowed or 0)


async def _sample(connection: Connection, campaign: Campaign) -> PlanSample:
    statement = "sample_unplanned" if campaign.status is CampaignStatus.DRAFT else "sample_planned"
    values = {
        "campaign": campaign.id,
        "limit": SAMPLE,
        "excluding": bool(campaign.exclude_campaigns),
        "excluded": list(campaign.exclude_campaigns),
        "excluded_ones": str(campaign.exclude_recipients),
        "capping": campaign.frequency_capped,
        "cap_skips": campaign.cap_wait_days == 0,
    }
    row = await (await connection.execute(_SQL[statement], values)).fetchone()
    assert row is not None
    return PlanSample(*row)
