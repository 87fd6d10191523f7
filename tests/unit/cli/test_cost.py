"""The lines of a cost: the total with its card, each category, and what is not in the total."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from api.cost_answers import CampaignCostOut, CategoryCostOut
from cli.cost import COUNTRIES_SHOWN, cost_lines
from domain.prices import Charge

COST = CampaignCostOut(
    campaign_id=UUID(int=1), as_of=datetime(2026, 11, 26, tzinfo=UTC), version=7, delivered=1_300, without_price=30,
    without_rate=20,
    categories=[
        CategoryCostOut(category="marketing", charge=Charge.BILLABLE, messages=1_200, cost="120.00",
                        without_rate={"GB": 15, "unknown": 5}),
        CategoryCostOut(category="utility", charge=Charge.FREE_CUSTOMER_SERVICE, messages=70, cost="0",
                        without_rate={}),
    ],
    rates_as_of=date(2026, 11, 1), currency="USD", source="a test", total="120.00", cost_problem=None,
)  # fmt: skip


def test_the_lines_of_a_cost() -> None:
    shown = "\n".join(cost_lines("Sale", COST))
    assert shown.startswith("Sale  120.00 USD so far, by the rates of 2026-11-01: a test")
    assert "1,200  marketing, billable  120.00" in shown
    assert "70  utility, free customer service  0" in shown
    assert "no rate for GB 15, unknown 5" in shown
    assert "30  delivered messages have no price" in shown
    many = {f"{chr(65 + n)}X": n for n in range(COUNTRIES_SHOWN + 2)}
    row = COST.categories[0].model_copy(update={"without_rate": many})
    assert "and 2 more countries" in "\n".join(cost_lines("Sale", COST.model_copy(update={"categories": [row]})))


def test_a_cost_without_a_card_or_without_messages() -> None:
    shown = "\n".join(cost_lines("Sale", COST.model_copy(update={"total": None, "cost_problem": "No card."})))
    assert shown.startswith("Sale  the cost is not known: No card.")
    assert "no rate for" not in shown
    none = COST.model_copy(update={"categories": [], "delivered": 0, "without_price": 0})
    assert "no message is delivered yet" in "\n".join(cost_lines("Sale", none))
