"""What the delivered messages of a campaign cost, by WhatsApp's own prices and the card of rates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from domain.dialling import country_of_prefix
from domain.prices import Charge
from domain.rate_card import CENTS, RateCard, RateCategory

DIMENSION = "price/"
"""The beginning of the counters: `price/<category>/<charge>/<prefix>`."""
RATES = {
    "authentication": RateCategory.AUTHENTICATION,
    "marketing": RateCategory.MARKETING,
    "marketing_lite": RateCategory.MARKETING,
    "utility": RateCategory.UTILITY,
}
"""By category of a message, the rate of a card that it has. A category that is missing has no rate."""


@dataclass(frozen=True, slots=True)
class CategoryCost:
    """The delivered messages of one category, charged alike."""

    category: str
    charge: Charge
    messages: int
    cost: Decimal
    """Of the messages whose rate is known; 0 for free ones."""
    without_rate: Mapping[str, int]
    """Billable messages by country for which the card has no rate of this category."""


@dataclass(frozen=True, slots=True)
class CampaignCost:
    """The cost so far of one campaign."""

    total: Decimal
    """Without those whose rate is not known."""
    categories: tuple[CategoryCost, ...]
    """Charged ones first, then by number of messages."""
    delivered: int
    """All delivered recipients."""
    without_price: int
    """Those of them for which WhatsApp has stated no price yet."""

    @property
    def without_rate(self) -> int:
        """Billable messages that the total does not contain."""
        return sum(sum(each.without_rate.values()) for each in self.categories)


def campaign_cost(card: RateCard | None, counters: Mapping[str, int]) -> CampaignCost:
    """The cost of the messages that these counters of a campaign have, keyed ``dimension/key``.

    Without a card no rate is known.
    """
    messages: Counter[tuple[str, Charge]] = Counter()
    costs: dict[tuple[str, Charge], Decimal] = {}
    without: dict[tuple[str, Charge], Counter[str]] = {}
    for name, n in counters.items():
        if not name.startswith(DIMENSION) or n == 0:
            continue
        category, word, prefix = name.removeprefix(DIMENSION).split("/")
        row = category, Charge(word)
        messages[row] += n
        if row[1] is not Charge.BILLABLE:
            continue
        rate = _rate(card, category, country := country_of_prefix(prefix))
        if rate is None:
            without.setdefault(row, Counter())[country] += n
        else:
            costs[row] = costs.get(row, Decimal(0)) + n * rate
    rows = [
        CategoryCost(*row, n, costs.get(row, Decimal(0)), dict(without.get(row, Counter()).most_common()))
        for row, n in messages.items()
    ]
    delivered = counters.get("funnel/delivered", 0)
    return CampaignCost(
        total=sum(costs.values(), Decimal(0)).quantize(CENTS),
        categories=tuple(sorted(rows, key=_order)),
        delivered=delivered,
        without_price=delivered - messages.total(),
    )


def _order(row: CategoryCost) -> tuple[bool, int, str, str]:
    return row.charge is not Charge.BILLABLE, -row.messages, row.category, row.charge


def _rate(card: RateCard | None, category: str, country: str) -> Decimal | None:
    market, wanted = None if card is None else card.markets.get(country), RATES.get(category)
    return None if market is None or wanted is None else market.rates.get(wanted)
