"""What libphonenumber knows of the countries, as the rules of phone numbers use it."""

from __future__ import annotations

import pytest

from domain.phone_plans import calling_code, parsed, rank, stands, stands_or_stood, trunk_prefix, written_out


@pytest.mark.parametrize(
    ("digits", "code"), [("14695550124", "1"), ("491711234567", "49"), ("22997123456", "229"), ("999", ""), ("", "")]
)
def test_the_country_code_is_the_one_that_the_digits_begin_with(digits: str, code: str) -> None:
    assert calling_code(digits) == code


@pytest.mark.parametrize(
    ("digits", "is_possible", "is_valid"),
    [
        ("491711234567", True, True),
        ("15550001234", True, False),
        ("4901711234567", False, False),  # libphonenumber drops the 0
        ("22507123456", False, False),  # Ivory Coast has ten digits since 2021
        ("9991234567", False, False),
    ],
)
def test_a_number_stands_if_its_country_uses_all_its_digits(digits: str, is_possible: bool, is_valid: bool) -> None:
    assert stands(digits, must_be_valid=False) == is_possible
    assert stands(digits, must_be_valid=True) == is_valid


def test_an_old_spelling_stood() -> None:
    assert stands_or_stood("22507123456", must_be_valid=True)
    assert not stands_or_stood("22507123", must_be_valid=True)


@pytest.mark.parametrize(("digits", "place"), [("4915123456789", 2), ("498912345678", 1), ("15550001234", 0)])
def test_a_mobile_number_is_more_probable_than_a_landline(digits: str, place: int) -> None:
    number = parsed(digits)
    assert number is not None
    assert rank(number) == place
    assert written_out(number) == digits


def test_the_trunk_prefix_of_a_country() -> None:
    assert [trunk_prefix(region) for region in ("DE", "RU", "ES", "ZZ")] == ["0", "8", None, None]
