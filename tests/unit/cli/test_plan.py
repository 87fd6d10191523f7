"""The lines of a plan: the end and what delays it, the days, who is skipped, and the cost with its date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from api.plan_answers import CostOut, MarketCostOut, PlannedDayOut, PlanOut, PlanSampleOut
from cli.plan import DAYS_SHOWN, LIMIT_WORDS, plan_lines
from domain.lifecycle import CampaignStatus
from domain.rate_card import RateCategory
from domain.sending_plan import PlanLimit

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
COST = CostOut(
    as_of=date(2026, 7, 1), currency="EUR", source="a test", category=RateCategory.MARKETING, is_category_known=False,
    total="11.31", markets=[MarketCostOut(market="Germany", recipients=100, rate="0.1131", cost="11.3100")],
    without_rate={"US": 1500, "unknown": 2},
)  # fmt: skip
PLAN = PlanOut(
    campaign_id=UUID(int=1), status=CampaignStatus.DRAFT, as_of=NOON, total=20_000, to_send=16_000, expected=15_872,
    time_zone="Pacific/Kiritimati",
    days=[PlannedDayOut(day=date(2026, 11, 26) + timedelta(days=n), recipients=1000) for n in range(16)],
    ends_at=NOON, left=0, limits=[PlanLimit.WINDOW, PlanLimit.DAILY_LIMIT], per_s=80, sharing=1,
    sample=PlanSampleOut(examined=1000, opted_out=5, same_person=1, invalid=0, excluded=2, capped=7, skipped=8),
    cost=COST, cost_problem=None,
)  # fmt: skip


def test_the_lines_of_a_plan() -> None:
    shown = "\n".join(plan_lines("Sale", PLAN))
    assert shown.startswith("Sale  (draft)  16,000 of 20,000 recipients wait")
    assert (
        "ends about   Fri 2026-11-27 02:00 Pacific/Kiritimati, at 80 messages a second, held up by its window" in shown
    )
    assert shown.count(" 1,000\n") == DAYS_SHOWN
    assert "and 2 more days" in shown
    assert "8 of the first 1,000: 5 opted out, 1 repeat a person, 2 are left out because of other campaigns" in shown
    assert "planned for  about 15,872 recipients" in shown
    assert "7 of the first 1,000 have no room in the frequency cap" in shown
    assert "11.31 EUR at most for 100 recipients, as marketing (assumed: the template cannot be read)" in shown
    assert "rates of     2026-07-01: a test" in shown
    assert "1,502 recipients, because the card has no rate for US 1,500, unknown 2" in shown
    assert "1 other active campaign(s)" in shown


def test_a_plan_without_an_end_or_a_cost() -> None:
    sample = PlanSampleOut(examined=10, opted_out=0, same_person=0, invalid=0, excluded=0, capped=0, skipped=0)
    changed = {"ends_at": None, "left": 700, "cost": None, "cost_problem": "No card.", "sample": sample, "sharing": 0}
    shown = "\n".join(plan_lines("Sale", PLAN.model_copy(update=changed)))
    assert "does not end within a year: 700 recipients are left then" in shown
    assert "cost         not known: No card." in shown
    assert "none of the first 10" in shown


def test_a_plan_whose_recipients_were_all_examined_is_exact() -> None:
    sample = PlanSampleOut(examined=16, opted_out=2, same_person=0, invalid=0, excluded=0, capped=0, skipped=2)
    shown = "\n".join(plan_lines("Sale", PLAN.model_copy(update={"to_send": 16, "expected": 14, "sample": sample})))
    assert "planned for  14 recipients, without those who would be skipped" in shown
    assert "capped" not in shown


def test_each_limit_has_words() -> None:
    assert set(LIMIT_WORDS) == set(PlanLimit)
