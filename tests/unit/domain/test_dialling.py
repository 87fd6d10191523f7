"""Prefixes by which recipients are counted: a table, and the countries of all numbering plans."""

from __future__ import annotations

import phonenumbers
import pytest

from domain.dialling import ISLANDS, UNKNOWN, country_of_prefix, prefix_of

EXAMPLES = {
    region: phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
    for region in phonenumbers.SUPPORTED_REGIONS
    if (number := phonenumbers.example_number(region)) is not None
}


@pytest.mark.parametrize(
    ("person", "prefix", "country"),
    [
        ("14694652751", "1", "US"),
        ("16135550123", "1", "US"),
        ("18095550123", "1809", "DO"),
        ("79161234567", "7", "RU"),
        ("77011234567", "77", "KZ"),
        ("4915112345678", "49", "DE"),
        ("351912345678", "351", "PT"),
        ("user:BR.1502576394655843", "BR", "BR"),
        ("user:US.ENT.118", "US", "US"),
        ("user:1502", UNKNOWN, UNKNOWN),
        ("user:br.1", UNKNOWN, UNKNOWN),
        ("0123456", UNKNOWN, UNKNOWN),
        ("12", UNKNOWN, UNKNOWN),
        ("١٢٣٤٥٦", UNKNOWN, UNKNOWN),
        ("999123456", "999", UNKNOWN),
        ("800123456", "800", UNKNOWN),
        ("4\n91234", UNKNOWN, UNKNOWN),
    ],
)
def test_the_prefix_and_its_country(person: str, prefix: str, country: str) -> None:
    assert (prefix_of(person), country_of_prefix(prefix)) == (prefix, country)


@pytest.mark.parametrize("region", sorted(EXAMPLES))
def test_an_example_of_each_country_is_of_its_country_or_of_one_with_the_same_code(region: str) -> None:
    code = phonenumbers.country_code_for_region(region)
    country = country_of_prefix(prefix_of(EXAMPLES[region]))
    assert country in phonenumbers.region_codes_for_country_code(code)
    if code in (1, 7) and region != "CA":
        assert country == region


def test_the_islands_are_those_of_the_numbering_plan() -> None:
    plan = set(phonenumbers.region_codes_for_country_code(1)) - {"US", "CA"}
    assert set(ISLANDS.values()) == plan
