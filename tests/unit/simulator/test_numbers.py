"""Facts about phone numbers that the API depends on."""

from __future__ import annotations

import pytest

from simulator.config import SimulatorConfig
from simulator.numbers import country_of, is_of_the_us, other_spelling, wa_id_of


@pytest.mark.parametrize(
    ("number", "is_us"),
    [
        ("16505551234", True),
        ("12125551234", True),
        ("16045551234", False),  # Canada
        ("18765551234", False),  # Jamaica
        ("15550131026", False),  # no area
        ("18005551234", False),  # toll-free
        ("1604555123", False),
        ("4915112345678", False),
    ],
)
def test_numbers_of_the_united_states(number: str, is_us: bool) -> None:
    assert is_of_the_us(number) is is_us


@pytest.mark.parametrize(
    ("number", "other"),
    [
        ("525512345678", "5215512345678"),
        ("5215512345678", "525512345678"),
        ("5511987654321", "551187654321"),
        ("551187654321", "5511987654321"),
        ("541123456789", "5491123456789"),
        ("5491123456789", "541123456789"),
        ("551132345678", None),  # a fixed line
        ("4915112345678", None),
    ],
)
def test_a_number_of_three_countries_has_another_spelling(number: str, other: str | None) -> None:
    assert other_spelling(number) == other


def test_a_whatsapp_id_differs_by_number_or_by_share() -> None:
    assert wa_id_of(SimulatorConfig(), "525512345678") == "525512345678"
    assert wa_id_of(SimulatorConfig(other_wa_id_share=1.0), "525512345678") == "5215512345678"
    assert wa_id_of(SimulatorConfig(other_wa_id_share=1.0), "4915112345678") == "4915112345678"
    assert wa_id_of(SimulatorConfig(wa_ids={"4915112345678": "4915100000000"}), "4915112345678") == "4915100000000"
    half = SimulatorConfig(other_wa_id_share=0.5)
    numbers = [f"5255{n:08d}" for n in range(200)]
    differing = [number for number in numbers if wa_id_of(half, number) != number]
    assert 60 < len(differing) < 140
    assert [number for number in numbers if wa_id_of(half, number) != number] == differing


@pytest.mark.parametrize(
    ("number", "country"), [("4915112345678", "DE"), ("16505551234", "US"), ("16045551234", "CA"), ("999", "US")]
)
def test_a_user_id_has_the_country_of_the_number(number: str, country: str) -> None:
    assert country_of(number) == country
