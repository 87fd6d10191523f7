"""Cards of rates: what is read, what is refused, and the estimate that names what it does not know."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from domain.rate_card import InvalidRateCard, RateCategory, estimate_cost, read_rate_card

NOTES = "# as_of: 2026-07-01\n# currency: EUR\n# source: a test\n"
HEADER = "market,countries,marketing,utility,authentication\n"
CARD = NOTES + HEADER + 'Germany,DE,0.1131,0.0456,\n"Rest, of it",PT IE,0.05,0.01,0.02\n'


def test_a_card_is_read_with_its_date_and_source() -> None:
    card = read_rate_card("\ufeff" + CARD)
    assert (card.as_of, card.currency, card.source) == (date(2026, 7, 1), "EUR", "a test")
    assert card.markets["IE"].name == "Rest, of it"
    assert dict(card.markets["DE"].rates) == {
        RateCategory.MARKETING: Decimal("0.1131"), RateCategory.UTILITY: Decimal("0.0456")
    }  # fmt: skip


def test_the_estimate_sums_markets_and_names_what_has_no_rate() -> None:
    prefixes = {"49": 1000, "351": 100, "353": 50, "PT": 2, "1": 7, "unknown": 1}
    found = estimate_cost(read_rate_card(CARD), prefixes, RateCategory.MARKETING)
    assert [(each.market, each.recipients, each.cost) for each in found.markets] == [
        ("Germany", 1000, Decimal("113.1000")), ("Rest, of it", 152, Decimal("7.60"))
    ]  # fmt: skip
    assert (found.total, dict(found.without_rate)) == (Decimal("120.70"), {"US": 7, "unknown": 1})
    other = estimate_cost(read_rate_card(CARD), prefixes, RateCategory.AUTHENTICATION)
    assert (other.total, dict(other.without_rate)) == (Decimal("3.04"), {"DE": 1000, "US": 7, "unknown": 1})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "needs the lines"),
        (CARD.replace("2026-07-01", "July"), "needs the lines"),
        (CARD.replace("# currency: EUR\n", ""), "needs the lines"),
        (NOTES, "the first line after the notes"),
        (NOTES + "country,rate\n", "the first line after the notes"),
        (NOTES + HEADER + "Germany,DE,0.1,0.1\n", "line 5: it must have 5 cells"),
        (NOTES + HEADER + "Germany,Germany,0.1,0.1,\n", "line 5: it needs a name"),
        (NOTES + HEADER + ",DE,0.1,0.1,\n", "line 5: it needs a name"),
        (NOTES + HEADER + "Germany,DE,cheap,,\n", "line 5: marketing must be a number"),
        (NOTES + HEADER + "Germany,DE,,-1,\n", "line 5: utility must be a number"),
        (NOTES + HEADER + "Germany,DE,NaN,,\n", "line 5: marketing must be a number"),
        (CARD + "Again,DE,1,1,1\n", "line 7: DE has a market already"),
        (NOTES + HEADER + "Germany,DE,1,1,1\n" * 1000, "more than 1000 lines"),
    ],
)
def test_a_wrong_card_names_its_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidRateCard, match=problem):
        read_rate_card(text)
