"""The zones of the countries are those of the time zone database, and every country with phone numbers has some."""

from __future__ import annotations

from collections import defaultdict
from importlib.resources import files

from domain.country_zones import COUNTRY_ZONES
from domain.days import zone
from domain.phone_numbers import COUNTRIES

WITHOUT_ROW = {"AC": ("Atlantic/St_Helena",), "TA": ("Atlantic/St_Helena",), "XK": ("Europe/Belgrade",)}


def test_the_table_is_that_of_the_time_zone_database() -> None:
    known = defaultdict[str, list[str]](list)
    for line in files("tzdata.zoneinfo").joinpath("zone.tab").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            country, _, name = line.split("\t")[:3]
            known[country].append(name)
    for country, zones in COUNTRY_ZONES.items():
        assert zones == WITHOUT_ROW.get(country) or zones == tuple(sorted(known[country])), country


def test_every_country_with_phone_numbers_has_zones() -> None:
    assert COUNTRY_ZONES.keys() == COUNTRIES
    for zones in COUNTRY_ZONES.values():
        assert zones
        assert all(zone(name) for name in zones)
