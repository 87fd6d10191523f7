"""The cost of delivered messages: only billable ones, by the rate of the country, and what the card lacks by name."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.charges import campaign_cost
from domain.prices import CATEGORIES, Charge
from domain.rate_card import read_rate_card

CARD = read_rate_card("""# as_of: 2026-11-01
# currency: USD
# source: a test
market,countries,marketing,utility,authentication
Germany,DE,0.10,0.02,
North America,US CA,0.025,,0.01
""")
COUNTERS = {
    "funnel/delivered": 16,
    "funnel/read": 3,
    "prefix/49": 20,
    "price/marketing/billable/49": 5,
    "price/marketing/billable/1": 3,
    "price/marketing/billable/44": 2,
    "price/marketing/free_customer_service/49": 1,
    "price/authentication/billable/49": 1,
    "price/marketing_lite/billable/49": 1,
    "price/service/billable/unknown": 2,
    "price/utility/free/44": 0,
}


def test_each_billable_message_has_the_rate_of_its_country() -> None:
    cost = campaign_cost(CARD, COUNTERS)
    assert [(each.category, each.charge, each.messages, each.cost, each.without_rate) for each in cost.categories] == [
        ("marketing", Charge.BILLABLE, 10, Decimal("0.575"), {"GB": 2}),
        ("service", Charge.BILLABLE, 2, 0, {"unknown": 2}),
        ("authentication", Charge.BILLABLE, 1, 0, {"DE": 1}),
        ("marketing_lite", Charge.BILLABLE, 1, Decimal("0.10"), {}),
        ("marketing", Charge.FREE_CUSTOMER_SERVICE, 1, 0, {}),
    ]
    assert (cost.total, cost.delivered, cost.without_price, cost.without_rate) == (Decimal("0.68"), 16, 1, 5)


def test_without_a_card_no_rate_is_known() -> None:
    cost = campaign_cost(None, COUNTERS)
    assert (cost.total, cost.without_rate) == (Decimal(0), 14)
    assert cost.categories[0].without_rate == {"DE": 5, "US": 3, "GB": 2}


def test_a_campaign_without_a_delivered_message_costs_nothing() -> None:
    cost = campaign_cost(CARD, {"funnel/total": 5})
    assert not cost.categories
    assert (cost.total, cost.delivered, cost.without_price) == (Decimal(0), 0, 0)


keys = st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(Charge), st.sampled_from(["49", "1", "44", "unknown"]))


@given(st.dictionaries(keys, st.integers(0, 10_000_000)))
def test_every_message_is_in_one_category_and_is_billed_once(counts: dict[tuple[str, Charge, str], int]) -> None:
    counters = {f"price/{category}/{charge}/{prefix}": n for (category, charge, prefix), n in counts.items()}
    cost = campaign_cost(CARD, counters)
    assert sum(each.messages for each in cost.categories) == sum(counts.values())
    assert sum(each.messages for each in cost.categories if each.charge == "billable") == sum(
        n for (_, charge, _), n in counts.items() if charge == "billable"
    )
    assert all(not each.cost and not each.without_rate for each in cost.categories if each.charge != "billable")
    assert cost.total == sum((each.cost for each in cost.categories), Decimal(0)).quantize(Decimal("0.01"))
