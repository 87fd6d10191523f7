"""What messages will cost at most, by a dated card of rates for each market and category. Pure.

A card is a CSV text: lines `# as_of:`, `# currency:` and `# source:`, then the header and a row for each market, with
the ISO codes of its countries and a rate for each category. An empty cell is a rate that is not known.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from domain.dialling import country_of_prefix

COLUMNS = ("market", "countries", "marketing", "utility", "authentication")
RATE_MAX = Decimal(1000)
ROWS_MAX = 1000
CENTS = Decimal("0.01")


class RateCategory(StrEnum):
    """The category of a template, by which Meta prices a message."""

    MARKETING = "marketing"
    UTILITY = "utility"
    AUTHENTICATION = "authentication"


class InvalidRateCard(ValueError):
    """The text is no card of rates. The message names the line."""


@dataclass(frozen=True, slots=True)
class Market:
    """Countries with the same rates."""

    name: str
    rates: Mapping[RateCategory, Decimal]
    """The known rates of one message."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """Rates with their date and source."""

    as_of: date
    currency: str
    source: str
    markets: Mapping[str, Market]
    """By the ISO code of a country."""


@dataclass(frozen=True, slots=True)
class MarketCost:
    """The recipients of a market and their cost."""

    market: str
    recipients: int
    rate: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What the messages cost if everybody gets one outside a service window."""

    as_of: date
    currency: str
    source: str
    category: RateCategory
    total: Decimal
    """Without those whose rate is not known."""
    markets: tuple[MarketCost, ...]
    """The most expensive first."""
    without_rate: Mapping[str, int]
    """Recipients by country for which the card has no rate."""


def read_rate_card(text: str) -> RateCard:
    """Read a card. Raises InvalidRateCard."""
    lines = text.lstrip("\ufeff").splitlines()
    notes = dict(_note(line) for line in lines if line.startswith("#"))
    try:
        as_of = date.fromisoformat(notes["as_of"])
        currency, source = notes["currency"], notes["source"]
    except (KeyError, ValueError):
        raise InvalidRateCard(
            "the card needs the lines '# as_of: 2026-07-01', '# currency: EUR' and '# source: ...'"
        ) from None
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not rows or tuple(next(csv.reader([rows[0][1]]))) != COLUMNS:
        raise InvalidRateCard(f"the first line after the notes must be {','.join(COLUMNS)}")
    if len(rows) > ROWS_MAX:
        raise InvalidRateCard(f"the card has more than {ROWS_MAX} lines")
    markets: dict[str, Market] = {}
    for number, line in rows[1:]:
        countries, market = _market(number, next(csv.reader([line])))
        for country in countries:
            if country in markets:
                raise InvalidRateCard(f"line {number}: {country} has a market already")
            markets[country] = market
    return RateCard(as_of, currency, source, markets)


def _note(line: str) -> tuple[str, str]:
    name, _, value = line.lstrip("# ").partition(":")
    return name.strip(), value.strip()


def _market(number: int, cells: list[str]) -> tuple[list[str], Market]:
    if len(cells) != len(COLUMNS):
        raise InvalidRateCard(f"line {number}: it must have {len(COLUMNS)} cells")
    name, countries = cells[0].strip(), cells[1].split()
    if not name or not countries or any(len(each) != 2 or not each.isupper() for each in countries):
        raise InvalidRateCard(f"line {number}: it needs a name, and countries as ISO codes such as 'PT IE AT'")
    return countries, Market(name, dict(_rates(number, cells[2:])))


def _rates(number: int, cells: list[str]) -> Iterator[tuple[RateCategory, Decimal]]:
    for category, cell in zip(RateCategory, cells, strict=True):
        if not cell.strip():
            continue
        try:
            rate = Decimal(cell.strip())
        except InvalidOperation:
            rate = Decimal("NaN")
        if not rate.is_finite() or not 0 <= rate <= RATE_MAX:
            raise InvalidRateCard(f"line {number}: {category} must be a number such as 0.0585")
        yield category, rate


def estimate_cost(card: RateCard, prefixes: Mapping[str, int], category: RateCategory) -> CostEstimate:
    """The cost of one message to each of these recipients, who are counted by prefix (`domain.dialling`)."""
    people: Counter[tuple[str, Decimal]] = Counter()
    without: Counter[str] = Counter()
    for prefix, recipients in prefixes.items():
        country = country_of_prefix(prefix)
        market = card.markets.get(country)
        if market is None or category not in market.rates:
            without[country] += recipients
        else:
            people[market.name, market.rates[category]] += recipients
    found = [MarketCost(name, n, rate, n * rate) for (name, rate), n in people.items()]
    return CostEstimate(
        as_of=card.as_of,
        currency=card.currency,
        source=card.source,
        category=category,
        total=sum((each.cost for each in found), Decimal(0)).quantize(CENTS),
        markets=tuple(sorted(found, key=lambda each: (-each.cost, each.market))),
        without_rate=dict(sorted(without.items(), key=lambda pair: (-pair[1], pair[0]))),
    )
